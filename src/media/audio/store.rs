//! Packets that wait for their moment, in the order of their time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// How many wait at most. More than the longest delay of 400 ms in packets of 2.5 ms; when it is full the oldest gives way.
const BLOCKS_MAX: usize = 256;

/// One Opus packet, by itself or out of a redundant one.
#[derive(Debug, Clone)]
pub struct Block {
    pub sequence: u64,
    /// In samples, extended.
    pub timestamp: i64,
    /// How long it is.
    pub samples: i64,
    pub is_redundant: bool,
    payload: Arc<[u8]>,
    range: Range<usize>,
}

impl Block {
    /// `None` when the bytes are no Opus packet.
    pub fn new(sequence: u64, timestamp: i64, payload: &Arc<[u8]>, range: Range<usize>) -> Option<Self> {
        let samples = super::opus::samples(payload.get(range.clone())?)?;
        let samples = i64::try_from(samples).ok()?;
        Some(Self { sequence, timestamp, samples, is_redundant: false, payload: payload.clone(), range })
    }

    pub fn bytes(&self) -> &[u8] {
        self.payload.get(self.range.clone()).unwrap_or_default()
    }

    /// It says that the sender pauses.
    pub fn is_pause(&self) -> bool {
        self.range.len() <= super::opus::PAUSE_BYTES_MAX
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Stored {
    New,
    /// The same time is there already.
    Known,
}

#[derive(Debug, Default)]
pub struct Store {
    blocks: BTreeMap<i64, Block>,
}

impl Store {
    pub fn insert(&mut self, block: Block) -> Stored {
        if let Some(known) = self.blocks.get_mut(&block.timestamp) {
            let is_news = known.is_redundant && !block.is_redundant;
            if is_news {
                *known = block;
            }
            return if is_news { Stored::New } else { Stored::Known };
        }
        self.blocks.insert(block.timestamp, block);
        if self.blocks.len() > BLOCKS_MAX {
            self.blocks.pop_first();
        }
        Stored::New
    }

    pub fn first(&self) -> Option<&Block> {
        self.blocks.first_key_value().map(|(_, block)| block)
    }

    /// The one behind the first.
    pub fn second(&self) -> Option<&Block> {
        self.blocks.values().nth(1)
    }

    pub fn pop(&mut self) -> Option<Block> {
        self.blocks.pop_first().map(|(_, block)| block)
    }

    /// How much sound follows `from` without a hole.
    pub fn run(&self, from: i64) -> i64 {
        let mut end = from;
        for block in self.blocks.values().skip_while(|block| block.timestamp < from) {
            if block.timestamp != end {
                break;
            }
            end += block.samples;
        }
        end - from
    }

    pub fn clear(&mut self) {
        self.blocks.clear();
    }
}
