//! The dice that a netem with a seed throws: `prandom_u32_state` of lib/random32.c, the generator LFSR113 of L'Ecuyer.
//!
//! tc prints no seed before iproute2 6.6, so what the kernel made of ours shows in what it does with the packets.

/// The state of the generator.
pub struct Dice([u32; 4]);

impl Dice {
    /// As `prandom_seed_state` makes it (include/linux/prandom.h): no state may be too small.
    pub fn new(seed: u64) -> Self {
        let mixed = ((seed >> 32) ^ (seed << 10) ^ seed) as u32;
        Self([2, 8, 16, 128].map(|least| if mixed < least { mixed + least } else { mixed }))
    }

    /// The next number.
    pub fn roll(&mut self) -> u32 {
        let step = |s: u32, a: u32, b: u32, c: u32, d: u32| ((s & c) << d) ^ (((s << a) ^ s) >> b);
        let [s1, s2, s3, s4] = self.0;
        self.0 = [step(s1, 6, 13, !1, 18), step(s2, 2, 27, !7, 2), step(s3, 13, 21, !15, 7), step(s4, 3, 12, !127, 13)];
        self.0.iter().fold(0, |sum, state| sum ^ state)
    }
}
