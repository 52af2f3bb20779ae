//! RFC 2198: a packet that carries the ones before it once more.

use std::ops::Range;

/// More than any sender puts into one packet; a longer chain of headers is not believed.
const BLOCKS_MAX: usize = 16;

/// One block of a redundant packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedBlock {
    /// How much earlier than the packet's own time it belongs, in samples.
    pub earlier: u32,
    /// How many packets earlier: 0 is the packet's own block.
    pub age: u32,
    /// Where its bytes are in the payload.
    pub bytes: Range<usize>,
}

/// The blocks of a payload, oldest first, its own last. `None`: the headers do not fit the bytes.
pub fn unpack(payload: &[u8]) -> Option<Vec<RedBlock>> {
    let mut headers = Vec::new();
    let mut at = 0;
    // F bit set: a block of four header bytes, 7 bits payload type, 14 bits time offset, 10 bits length (section 3).
    while payload.get(at)? & 0x80 != 0 {
        let &[_, high, middle, low] = payload.get(at..at + 4)? else { return None };
        let earlier = u32::from(high) << 6 | u32::from(middle) >> 2;
        let length = usize::from(middle & 3) << 8 | usize::from(low);
        headers.push((earlier, length));
        if headers.len() > BLOCKS_MAX {
            return None;
        }
        at += 4;
    }
    at += 1;
    let mut blocks = Vec::with_capacity(headers.len() + 1);
    let count = headers.len();
    for (index, (earlier, length)) in headers.into_iter().enumerate() {
        let end = at + length;
        if end > payload.len() {
            return None;
        }
        let age = u32::try_from(count - index).ok()?;
        blocks.push(RedBlock { earlier, age, bytes: at..end });
        at = end;
    }
    blocks.push(RedBlock { earlier: 0, age: 0, bytes: at..payload.len() });
    Some(blocks)
}

#[cfg(test)]
pub fn pack(own: &[u8], earlier: &[(u32, &[u8])]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (offset, bytes) in earlier {
        let tail = (offset << 10 | u32::try_from(bytes.len()).expect("short")).to_be_bytes();
        payload.extend([0x80 | 111, tail[1], tail[2], tail[3]]);
    }
    payload.push(111);
    earlier.iter().for_each(|(_, bytes)| payload.extend(*bytes));
    payload.extend(own);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_out_oldest_first() {
        let payload = pack(b"own", &[(1920, b"oldest"), (960, b"old")]);
        let blocks = unpack(&payload).expect("it is well formed");
        let read: Vec<_> =
            blocks.iter().map(|b| (b.earlier, b.age, payload[b.bytes.clone()].to_vec())).collect();
        assert_eq!(read, [(1920, 2, b"oldest".to_vec()), (960, 1, b"old".to_vec()), (0, 0, b"own".to_vec())]);
    }

    #[test]
    fn headers_that_do_not_fit_are_refused() {
        let payload = pack(b"", &[(960, b"old")]);
        assert!(unpack(&payload).is_some());
        for length in 0..payload.len() {
            assert_eq!(unpack(&payload[..length]), None, "cut to {length}");
        }
        assert_eq!(unpack(&[0x80; 200]), None);
    }
}
