//! What the tests of the C interface share: where things are, and a place to compile.

// Each test file uses its part.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The checkout.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A text of the checkout.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(project().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The folder in which cargo put the libraries that belong to this test.
pub fn libraries() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    test.parent().expect("it lies in deps").to_owned()
}

/// The functions that the header declares, sorted.
pub fn declared_functions() -> Vec<String> {
    let header = read("include/opentok.h");
    let mut names: Vec<String> = header
        .split("LIBOPENTOK_LIBRARY_EXPORTED")
        .skip(1)
        .filter_map(|rest| {
            let before = rest.split('(').next()?;
            let name = before.split(|c: char| !c.is_alphanumeric() && c != '_').next_back()?;
            name.starts_with("otc_").then(|| name.to_owned())
        })
        .collect();
    names.sort();
    names
}

/// A folder that goes with the test.
pub struct Workshop {
    pub path: PathBuf,
}

impl Workshop {
    /// The path is short: a socket in it has room for about a hundred characters.
    pub fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("otc-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the folder for temporary files can be written");
        Self { path }
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        std::fs::write(&path, text).expect("the workshop can be written");
        path
    }
}

/// Compiles a C program, or one in C++, against the header and the shared library of this build. `C_TEST_COMPILER` may stand in for the
/// compiler and link another build (`tests/sanitizers/cc.sh`).
pub fn compile(source: &Path, program: PathBuf) -> PathBuf {
    let libraries = libraries();
    let is_cpp = source.extension().is_some_and(|extension| extension == "cpp");
    let (usual, standard) = if is_cpp { ("c++", "-std=c++14") } else { ("cc", "-std=c11") };
    let compiler = std::env::var_os("C_TEST_COMPILER").unwrap_or_else(|| usual.into());
    let output = Command::new(compiler)
        .args([standard, "-D_GNU_SOURCE", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o"])
        .arg(&program)
        .arg(source)
        .arg("-I")
        .arg(project().join("include"))
        .arg("-I")
        .arg(project().join("tests/c"))
        .arg("-L")
        .arg(&libraries)
        // The old kind of path comes before LD_LIBRARY_PATH, in which cargo puts the folder of an earlier `cargo build` first.
        .arg(format!("-Wl,--disable-new-dtags,-rpath,{}", libraries.display()))
        // A program that loads the library at run time must not have it already.
        .args(["-Wl,--as-needed", "-lopentok", "-lpthread", "-ldl", "-lm"])
        .output()
        .expect("a C compiler is needed");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{told}", source.display());
    program
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path); // a leftover in the folder for temporary files does no harm
    }
}
