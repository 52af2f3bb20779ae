//! The mini SFU: the embedded hub and `otc serve`.
