//! Finds the codec libraries of the system, when they are first needed, and keeps them.
//!
//! The build knows nothing of them: a machine without one runs the library with fewer codecs, and the distribution
//! keeps those it has safe. What is found stays loaded as long as the process lives, because threads of a codec may
//! outlive our last use of it.

use std::ffi::CStr;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use log::Level;
use once_cell::sync::OnceCell;

/// Names of libraries that are to be taken for absent, separated by commas: `libvpx,libopus`. For tests, and for a
/// machine whose library is broken.
const WITHOUT_VARIABLE: &str = "OTC_WITHOUT";

/// What is looked for once.
pub struct Sought<T>(OnceCell<Option<T>>);

impl<T> Sought<T> {
    pub const fn new() -> Self {
        Self(OnceCell::new())
    }

    /// Whoever comes first looks, and the others wait for that. The remarks are made when nobody waits any more: the
    /// program's logger may ask for the same thing, or wait for a thread that does.
    pub fn get(&self, look: impl FnOnce(&mut Remarks) -> Option<T>) -> Option<&T> {
        let mut remarks = Remarks::default();
        let found = self.0.get_or_init(|| look(&mut remarks));
        for (level, line) in remarks.0 {
            log::log!(level, "{line}");
        }
        found.as_ref()
    }
}

/// What there is to be said about a search: lines for the log.
#[derive(Default)]
pub struct Remarks(Vec<(Level, String)>);

impl Remarks {
    pub fn add(&mut self, level: Level, line: String) {
        self.0.push((level, line));
    }
}

/// A library that has been found.
pub struct SharedLibrary {
    library: Library,
    /// Under which it was found.
    pub soname: &'static str,
}

impl SharedLibrary {
    /// Tries the names in their order. `None`, and one remark, when there is none of them; `otherwise` says there what
    /// that means.
    pub fn find(
        name: &str,
        sonames: &[&'static str],
        otherwise: &str,
        remarks: &mut Remarks,
    ) -> Option<Self> {
        if is_unwanted(&std::env::var(WITHOUT_VARIABLE).unwrap_or_default(), name) {
            remarks.add(Level::Info, format!("{name} is not used, {WITHOUT_VARIABLE} says so: {otherwise}"));
            return None;
        }
        let found = sonames.iter().find_map(|soname| Self::open(soname));
        let (level, line) = match &found {
            Some(library) => (Level::Debug, format!("{name} is used as {}", library.soname)),
            None => (Level::Info, format!("{name} is not here ({}): {otherwise}", sonames.join(", "))),
        };
        remarks.add(level, line);
        found
    }

    fn open(soname: &'static str) -> Option<Self> {
        // SAFETY: loading runs the initialisers of the file. It is found by the name that the distribution gives its
        // codec library, and those libraries do nothing there that could harm a host.
        let library = unsafe { Library::open(Some(soname), RTLD_NOW | RTLD_LOCAL) };
        Some(Self { library: library.ok()?, soname })
    }

    /// A function of the library.
    ///
    /// # Safety
    /// `F` is the type of a function pointer, and the one that the library's documentation gives the function.
    pub unsafe fn function<F: Copy>(&self, name: &CStr) -> Option<F> {
        // SAFETY: the caller's promise. The copy lives no longer than the process, and neither does the library.
        unsafe { self.library.get::<F>(name) }.ok().map(|symbol| *symbol)
    }
}

fn is_unwanted(unwanted: &str, name: &str) -> bool {
    unwanted.split(',').any(|word| word.trim() == name)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_not_found() {
        let (sonames, mut remarks) = (["libnothing.so.1", "libnothing.so.0"], Remarks::default());
        assert!(SharedLibrary::find("libnothing", &sonames, "nothing", &mut remarks).is_none());
        assert_eq!(remarks.0.len(), 1);
    }

    #[test]
    fn what_is_sought_is_looked_for_once_and_remarked_on_by_who_looked() {
        static SOUGHT: Sought<u32> = Sought::new();
        let looks = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let look = |_: &mut Remarks| Some(looks.fetch_add(1, Ordering::SeqCst));
                    assert_eq!(SOUGHT.get(look), Some(&0));
                });
            }
        });
        assert_eq!(looks.into_inner(), 1);
    }

    #[test]
    fn the_first_name_that_exists_is_taken() {
        let sonames = ["libnothing.so.1", "libc.so.6"];
        let library =
            SharedLibrary::find("libc", &sonames, "nothing", &mut Remarks::default()).expect("libc");
        assert_eq!(library.soname, "libc.so.6");
        // SAFETY: `abs` has this type in C.
        let abs = unsafe { library.function::<unsafe extern "C" fn(i32) -> i32>(c"abs") }.expect("abs");
        // SAFETY: a pure function of a number.
        assert_eq!(unsafe { abs(-7) }, 7);
        // SAFETY: it is not called.
        assert!(unsafe { library.function::<unsafe extern "C" fn()>(c"no_such_function") }.is_none());
    }

    #[test]
    fn libraries_can_be_declared_absent() {
        assert!(is_unwanted("libvpx, libopus", "libopus"));
        assert!(!is_unwanted("libvpx2", "libvpx"));
        assert!(!is_unwanted("", "libvpx"));
    }
}
