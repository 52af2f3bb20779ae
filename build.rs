//! What the linker has to know of the shared library. Nothing is generated, nothing is searched for.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The name programs are already linked against; the original is unversioned too.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libopentok.so");
    // A thread of the host that once called us runs our thread-exit code when it ends, which may be after `dlclose`.
    // So the library is never unmapped.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
