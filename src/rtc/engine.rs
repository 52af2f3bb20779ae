//! str0m behind a wall: its contract kept, its panics caught.
//!
//! Every mutation is followed by a complete drain here, so that nothing above can forget it. str0m panics on a broken
//! invariant of its own; such an instance is thrown away and the rest of the process goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use once_cell::sync::Lazy;
use str0m::bwe::Bitrate;
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::net::{Protocol, Receive};
use str0m::{Event, Input, Output, Reason, Rtc, RtcConfig};

use super::{Datagram, codecs};

/// Bytes that may wait for the network on all channels together. A burst of a hundred signals of the largest size
/// fits several times; more only makes a slow network slower.
pub(super) const SEND_BUFFER_SIZE: usize = 128 << 10;

/// How often the two sides report what they have sent and received, and how often str0m counts it together. Sound and
/// picture are aligned by these reports, so the first one should not be long in coming.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How often the estimate is read where there is one. str0m's own events tell a mean of three seconds, in which a
/// network that has become narrow shows when packets have been queueing for as long; its statistics tell the estimate
/// as it is.
const ESTIMATE_INTERVAL: Duration = Duration::from_millis(100);

/// What a network is trusted to carry before anything is known. Enough for one camera in a modest size; a slower
/// network shows within a second, and for a faster one probing takes about as long.
const FIRST_ESTIMATE: Bitrate = Bitrate::mbps(1);

/// One certificate for the whole process. Making one costs a key pair, and the fingerprint in the description is what
/// authenticates it, so peers of one process may share it.
static IDENTITY: Lazy<(Arc<CryptoProvider>, DtlsCert)> = Lazy::new(|| {
    let provider = Arc::new(str0m::crypto::from_feature_flags());
    // str0m's own fallback panics in this place too; the wall below turns that into a peer that failed.
    let certificate = provider.dtls_provider.generate_certificate().expect("a key pair could be made");
    (provider, certificate)
});

/// What a drain finds, in order.
#[expect(clippy::large_enum_variant, reason = "each lives for one call")]
pub(super) enum Found {
    Transmit(Datagram),
    Event(Event),
}

/// str0m, or nothing any more.
pub(super) struct Engine {
    rtc: Option<Box<Rtc>>,
    deadline: Option<Deadline>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub at: Instant,
    /// The pacer, the estimator or the statistics want it. They run all the time, media or not.
    pub is_for_media: bool,
}

/// Why an engine has stopped for good.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stopped(pub String);

impl Engine {
    /// `estimates`: how much the network carries is found out, and what is sent is paced by that.
    pub fn new(now: Instant, estimates: bool) -> Result<Self, Stopped> {
        let rtc = walled(|| {
            let (provider, certificate) = &*IDENTITY;
            let config = RtcConfig::new()
                .set_crypto_provider(provider.clone())
                .set_dtls_cert(certificate.clone())
                .set_sctp_max_buffered_amount(SEND_BUFFER_SIZE)
                .set_rtp_mode(true)
                .set_rtcp_report_interval_audio(REPORT_INTERVAL)
                .set_stats_interval(Some(if estimates { ESTIMATE_INTERVAL } else { REPORT_INTERVAL }));
            let config = if estimates { config.enable_bwe(Some(FIRST_ESTIMATE)) } else { config };
            Box::new(codecs::configure(config).build(now))
        })?;
        Ok(Self { rtc: Some(rtc), deadline: None })
    }

    /// One that never ran.
    pub fn stopped() -> Self {
        Self { rtc: None, deadline: None }
    }

    /// Changes str0m and drains it. `found` may change it too: the drain goes on until nothing is left.
    ///
    /// An error is the end: the instance is gone.
    pub fn drive<T>(
        &mut self,
        found: &mut impl FnMut(&mut Rtc, Found),
        change: impl FnOnce(&mut Rtc) -> T,
    ) -> Result<T, Stopped> {
        let Some(rtc) = &mut self.rtc else {
            return Err(Stopped("the peer connection is over".into()));
        };
        let driven = walled(|| {
            let changed = change(rtc);
            let deadline = drain(rtc, found)?;
            if !rtc.is_alive() {
                return Err(Stopped("the transport has given up".into()));
            }
            Ok((changed, deadline))
        });
        match driven.and_then(|drained| drained) {
            Ok((changed, deadline)) => {
                self.deadline = deadline;
                Ok(changed)
            }
            Err(stopped) => {
                self.stop();
                Err(stopped)
            }
        }
    }

    /// Looks at str0m without changing it. `None` when it is gone.
    pub fn look<T>(&self, look: impl FnOnce(&Rtc) -> T) -> Option<T> {
        let rtc = self.rtc.as_ref()?;
        walled(|| look(rtc)).ok()
    }

    /// Throws the instance away.
    pub fn stop(&mut self) {
        let rtc = self.rtc.take();
        self.deadline = None;
        // Dropping what has panicked may panic again, and then there is nothing left to do about it.
        let _ = walled(|| drop(rtc));
    }

    pub fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }
}

fn walled<T>(work: impl FnOnce() -> T) -> Result<T, Stopped> {
    // Whatever was half changed is thrown away with the instance and never looked at again.
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        log::error!("rtc: a defect in the WebRTC engine ended one peer connection");
        Stopped("a defect in the WebRTC engine".into())
    })
}

/// Runs str0m until it only waits, and returns what for.
fn drain(rtc: &mut Rtc, found: &mut impl FnMut(&mut Rtc, Found)) -> Result<Option<Deadline>, Stopped> {
    loop {
        match rtc.poll_output() {
            Ok(Output::Timeout(at)) => {
                let is_for_media = match rtc.last_timeout_reason() {
                    // With nothing scheduled str0m names a moment years away.
                    Reason::NotHappening => return Ok(None),
                    Reason::Pacer(_)
                    | Reason::BweDelayControl
                    | Reason::BweProbeControl
                    | Reason::BweProbeEstimator
                    | Reason::Stats => true,
                    _ => false,
                };
                return Ok(Some(Deadline { at, is_for_media }));
            }
            Ok(Output::Transmit(transmit)) => {
                let bytes = transmit.contents.into();
                let datagram = Datagram { local: transmit.source, remote: transmit.destination, bytes };
                found(rtc, Found::Transmit(datagram));
            }
            Ok(Output::Event(event)) => found(rtc, Found::Event(event)),
            Err(error) => return Err(Stopped(error.to_string())),
        }
    }
}

/// Gives str0m a datagram. True when it was for this instance.
///
/// Only what [`Rtc::accepts`] recognises is let through: STUN proves its sender by its integrity check, the rest by
/// coming from an address that a check has confirmed. Garbage in a datagram is its sender's problem, so errors end here.
pub(super) fn hear(rtc: &mut Rtc, now: Instant, protocol: Protocol, datagram: &Datagram) -> bool {
    let Some(input) = input(now, protocol, datagram) else {
        return false;
    };
    if !rtc.accepts(&input) {
        return false;
    }
    if let Err(error) = rtc.handle_input(input) {
        log::debug!("rtc: a datagram was not understood: {error}");
    }
    true
}

/// A datagram as str0m takes it. `None` when it is neither STUN nor DTLS nor RTP.
pub(super) fn input(now: Instant, protocol: Protocol, datagram: &Datagram) -> Option<Input<'_>> {
    let receive = Receive::new(protocol, datagram.remote, datagram.local, &datagram.bytes);
    Some(Input::Receive(now, receive.ok()?))
}
