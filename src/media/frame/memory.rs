//! Whose memory the pixels of a frame are in.

use std::sync::Arc;

/// Memory of somebody else's. Dropping it gives it back.
pub trait Foreign: Send + Sync {
    /// One for all planes, or one for each.
    fn block_count(&self) -> usize;

    /// Empty when there is no such block.
    fn block(&self, index: usize) -> &[u8];

    /// Whether copies may lie on the same memory.
    fn may_be_shared(&self) -> bool;
}

#[derive(Clone)]
pub(super) enum Memory {
    /// A picture's: nobody writes to it.
    Shared(Arc<Vec<u8>>),
    /// A program has an address in it and may write there between two calls.
    Own(Arc<Vec<u8>>),
    Foreign(Arc<dyn Foreign>),
}

impl Memory {
    pub fn block(&self, index: usize) -> &[u8] {
        match self {
            Self::Shared(pixels) | Self::Own(pixels) if index == 0 => pixels,
            Self::Shared(_) | Self::Own(_) => &[],
            Self::Foreign(memory) => memory.block(index),
        }
    }

    pub fn may_be_shared(&self) -> bool {
        match self {
            Self::Shared(_) | Self::Own(_) => true,
            Self::Foreign(memory) => memory.may_be_shared(),
        }
    }
}
