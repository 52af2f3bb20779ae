//! What goes wrong in a simulated call.

/// What goes wrong, and how often: each number is "once in so many times", 0 is never.
pub struct Weather {
    pub delay_ms: (u64, u64),
    /// Messages within a link that vanish or come twice. No transport does that; a broken server might.
    pub lost: u64,
    pub doubled: u64,
    /// Deeds that break something.
    pub cut: u64,
    pub frozen: u64,
    pub crash: u64,
    pub killed: u64,
    /// A dial that is never answered.
    pub black_hole: u64,
    pub garbage: u64,
    pub removal: u64,
    /// Data travels through peer connections, as it does with a LiveKit server, and not inside the link.
    pub peers: bool,
    /// Datagrams that vanish or come twice. That is what a network does.
    pub datagram_lost: u64,
    pub datagram_doubled: u64,
    /// Clients publish and subscribe.
    pub has_media: bool,
}

impl Weather {
    pub fn storm() -> Self {
        Self {
            delay_ms: (0, 400),
            lost: 40,
            doubled: 30,
            cut: 8,
            frozen: 12,
            crash: 25,
            killed: 30,
            black_hole: 8,
            garbage: 200,
            removal: 40,
            peers: false,
            datagram_lost: 0,
            datagram_doubled: 0,
            has_media: false,
        }
    }

    /// Streams come and go while links and servers break.
    pub fn media() -> Self {
        let delay_ms = (1, 80);
        Self {
            delay_ms,
            has_media: true,
            cut: 30,
            frozen: 60,
            crash: 60,
            killed: 60,
            removal: 80,
            ..Self::storm()
        }
    }

    /// The same where what arrives is what was sent.
    pub fn honest_media() -> Self {
        let (cut, frozen) = (10, 20);
        Self { lost: 0, doubled: 0, garbage: 0, removal: 0, killed: 0, cut, frozen, ..Self::media() }
    }

    /// Peer connections on a network that loses, delays and doubles.
    pub fn lossy() -> Self {
        let delay_ms = (5, 60);
        let (datagram_lost, datagram_doubled) = (12, 15);
        Self { delay_ms, peers: true, datagram_lost, datagram_doubled, ..Self::cuts_and_crashes() }
    }

    /// Links and servers break, but what arrives is what was sent.
    pub fn cuts_and_crashes() -> Self {
        Self { lost: 0, doubled: 0, garbage: 0, removal: 0, killed: 0, ..Self::storm() }
    }

    pub fn sunshine() -> Self {
        let delay_ms = (1, 20);
        Self { delay_ms, cut: 0, frozen: 0, crash: 0, black_hole: 0, ..Self::cuts_and_crashes() }
    }
}
