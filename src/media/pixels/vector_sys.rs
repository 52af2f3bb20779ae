//! Loops over pixels with the vector instructions of this machine, where they are more than those of the build.

/// Runs `work`, compiled for AVX2 where the machine has that. What `work` calls has to be inlined into it to profit.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn vectorised<T>(work: impl FnOnce() -> T) -> T {
    #[target_feature(enable = "avx2")]
    fn with_avx2<T>(work: impl FnOnce() -> T) -> T {
        work()
    }

    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the machine has just been asked whether it has these instructions.
        unsafe { with_avx2(work) }
    } else {
        work()
    }
}

/// Elsewhere the build's own instructions are good enough: NEON belongs to every AArch64.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub fn vectorised<T>(work: impl FnOnce() -> T) -> T {
    work()
}
