//! The one audio device of the process, and the sound of a library that runs.
//!
//! A program registers its device once and for ever: the registration outlives `destroy`. Where it has none the system's
//! device is used.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};

use crate::driver::sound::system::SystemDevice;
use crate::driver::sound::{Registered, Sound};

pub use crate::driver::sound::system::Listed;
pub use crate::driver::sound::{Device, Direction, Ports, Settings};

/// The program's device, where it has one.
static PROGRAM: Mutex<Option<Arc<Registered>>> = Mutex::new(None);

/// Of the library that runs. The program's threads look here every few milliseconds.
static RUNNING: RwLock<Option<Sound>> = RwLock::new(None);

static SYSTEM: LazyLock<Arc<SystemDevice>> = LazyLock::new(Arc::default);

fn registered(program: &Option<Arc<Registered>>) -> Arc<Registered> {
    // One for the whole process, so what was left running by a library that has ended is known to the next one.
    static REGISTERED: LazyLock<Arc<Registered>> = LazyLock::new(|| Registered::new(SYSTEM.clone()));
    program.as_ref().unwrap_or(&REGISTERED).clone()
}

/// The sound of a library that starts. No thread and no device before somebody uses it.
pub fn open() -> Sound {
    SYSTEM.look_around();
    let program = PROGRAM.lock();
    let sound = Sound::new(registered(&program));
    *RUNNING.write() = Some(sound.clone());
    sound
}

/// The library ends: the device is stopped and destroyed. Waits until `deadline`, and not at all inside a callback.
pub fn close(sound: &Sound, deadline: Instant) {
    sound.stop(deadline);
    // Only now: some programs do not pause when they get nothing, and they are still waited for in `stop`.
    let before = RUNNING.write().take();
    drop(before);
}

/// The device to be used from now on; `None` for the system's. Waits for nothing: the device before it is stopped and
/// destroyed on a thread of the library.
pub fn set_device(device: Option<Arc<dyn Device>>) {
    let mut program = PROGRAM.lock();
    let before = std::mem::replace(&mut *program, device.map(Registered::new));
    if let Some(sound) = &*RUNNING.read() {
        sound.set_device(registered(&program));
    }
    drop(program);
    drop(before);
}

/// Where the program's threads take and bring samples. `None` when no library runs.
pub fn ports() -> Option<Arc<Ports>> {
    RUNNING.read().as_ref().map(|sound| sound.ports().clone())
}

/// The system's devices, those that play or those that record. Empty where the system has no sound.
pub fn list(direction: Direction) -> Vec<Listed> {
    SYSTEM.list(direction)
}

/// The system's device to be used from now on, as [`list`] names it. Whether there is such a one.
pub fn select(direction: Direction, id: &str) -> bool {
    SYSTEM.select(direction, id)
}
