//! The library as a whole: started by the first need, ended by `destroy`.

use super::Error;

/// Starts the library. Doing so again is harmless.
pub fn init() -> Result<(), Error> {
    Ok(())
}

/// Ends everything that lives and waits for it.
pub fn destroy() -> Result<(), Error> {
    Ok(())
}
