//! Threads, sockets, the clock and the callback thread.
