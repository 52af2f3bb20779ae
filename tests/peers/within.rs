//! How long a thing may take before it counts as not happening. None of these is a figure of merit: a machine that is busy with
//! compilers must pass too. The figures of merit are in `benches/`.

use std::time::Duration;

/// The library's own limit for joining, and some room.
pub const JOIN: Duration = Duration::from_secs(20);

/// For what follows at once: a call's answer, a signal, another client's coming and going.
pub const SEEN: Duration = Duration::from_secs(15);

/// `on_disconnected` is promised within two seconds of the call, also on a dead network. The rest is the machine's.
pub const PROMISED_END: Duration = Duration::from_secs(4);

/// A cut link is noticed at once; a silent one after the server's ping time-out of 15 s.
pub const LOSS_NOTICED: Duration = Duration::from_secs(40);

/// Recovery is tried for 60 s, and the loss has to be noticed first.
pub const GIVEN_UP: Duration = Duration::from_secs(110);

/// After a client has died without a word, livekit-server waits 23 s for it to come back.
pub const MISSED: Duration = Duration::from_secs(60);
