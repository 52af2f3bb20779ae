//! The C interface: pointers to values and back.
