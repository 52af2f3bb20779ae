//! Makes Rust of the installed `opentok.h`; `LIBOPENTOK_PATH` says where that is.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-env-changed=LIBOPENTOK_PATH");
    let installed =
        env::var("LIBOPENTOK_PATH").expect("LIBOPENTOK_PATH names the folder of the installation");
    let bindings = bindgen::Builder::default()
        .header(format!("{installed}/include/opentok.h"))
        .allowlist_item("otc?_.*|OTC?_.*|ENCRYPTION_.*|.*_transform_callback")
        .derive_default(true)
        .default_enum_style(bindgen::EnumVariation::NewType { is_bitfield: false, is_global: false })
        .generate()
        .expect("bindgen understands the header");
    let out = env::var("OUT_DIR").expect("cargo says where to");
    bindings.write_to_file(Path::new(&out).join("opentok.rs")).expect("cargo's folder can be written");
    println!("cargo::rustc-link-search=native={installed}/lib");
    println!("cargo::rustc-link-lib=opentok");
}
