//! Times of the last ten seconds as a histogram with buckets that grow with the time.
//!
//! A percentile of a window is read from the sum of its seconds, never averaged from theirs. Buckets are 1/32 of their
//! octave wide, and a percentile is interpolated within its bucket, so that it is off by one or two per cent at most
//! (the idea of HdrHistogram, with its figures fixed). 40 KiB for each window.

use std::time::Duration;

/// Seconds that a window looks back over, the one under way included.
pub(super) const SECONDS: usize = 10;

/// Finest step: 64 ns.
const UNIT_BITS: u32 = 6;
/// Steps within an octave: 32.
const STEP_BITS: u32 = 5;
const STEPS: usize = 1 << STEP_BITS;
/// Enough for 2³¹ units of 64 ns: 137 s. What is longer counts as that.
const BUCKETS: usize = STEPS * (31 - STEP_BITS as usize + 1);

type Counts = [u32; BUCKETS];

/// The times of the last [`SECONDS`].
#[derive(Debug)]
pub(super) struct Window {
    seconds: Vec<Counts>,
    sum: Box<Counts>,
    entered: u64,
    entered_by: [u64; SECONDS],
    now: usize,
}

impl Window {
    pub(super) fn new() -> Window {
        Window {
            seconds: vec![[0; BUCKETS]; SECONDS],
            sum: Box::new([0; BUCKETS]),
            entered: 0,
            entered_by: [0; SECONDS],
            now: 0,
        }
    }

    pub(super) fn enter(&mut self, took: Duration) {
        let bucket = bucket(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        self.seconds[self.now][bucket] += 1;
        self.sum[bucket] += 1;
        self.entered_by[self.now] += 1;
        self.entered += 1;
    }

    /// A second is over: the oldest one is forgotten.
    pub(super) fn tick(&mut self) {
        self.now = (self.now + 1) % SECONDS;
        self.entered -= self.entered_by[self.now];
        if self.entered_by[self.now] > 0 {
            for (sum, old) in self.sum.iter_mut().zip(&mut self.seconds[self.now]) {
                *sum -= *old;
                *old = 0;
            }
        }
        self.entered_by[self.now] = 0;
    }

    /// The median and the 99th percentile in seconds; not a number if nothing was entered.
    pub(super) fn median_and_99th(&self) -> (f32, f32) {
        if self.entered == 0 {
            return (f32::NAN, f32::NAN);
        }
        (self.percentile(0.5), self.percentile(0.99))
    }

    fn percentile(&self, part: f64) -> f32 {
        let rank = part * self.entered as f64;
        let mut below = 0.0;
        for (bucket, count) in self.sum.iter().enumerate() {
            let count = f64::from(*count);
            if count > 0.0 && below + count >= rank {
                let (from, width) = span(bucket);
                return (from + width * (rank - below) / count) as f32;
            }
            below += count;
        }
        f32::NAN
    }
}

fn bucket(nanos: u64) -> usize {
    let units = (nanos >> UNIT_BITS).min((1 << 31) - 1);
    if units < STEPS as u64 {
        return units as usize;
    }
    let octave = units.ilog2() - STEP_BITS;
    let step = (units >> octave) as usize & (STEPS - 1);
    (octave as usize + 1) * STEPS + step
}

/// Where a bucket begins and how wide it is, in seconds.
fn span(bucket: usize) -> (f64, f64) {
    let unit = f64::from(1u32 << UNIT_BITS) / 1e9;
    let (octave, step) = (bucket / STEPS, bucket % STEPS);
    if octave == 0 {
        return (step as f64 * unit, unit);
    }
    let width = unit * (1u64 << (octave - 1)) as f64;
    ((STEPS + step) as f64 * width, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn buckets_hold_what_is_put_into_them() {
        for nanos in
            [0, 63, 64, 2047, 2048, 4095, 4096, 1_000_000, 75_000_000, 15_000_000_000, 137_000_000_000]
        {
            let (from, width) = span(bucket(nanos));
            let seconds = nanos as f64 / 1e9;
            assert!(from <= seconds && seconds < from + width, "{nanos}: {from} {width}");
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn percentiles_are_near_the_truth() {
        let mut window = Window::new();
        (1..=1000).for_each(|n| window.enter(ms(n)));
        let (median, high) = window.median_and_99th();
        assert!((median - 0.5).abs() < 0.005 && (high - 0.99).abs() < 0.005, "{median} {high}");
    }

    #[test]
    fn ten_seconds_are_remembered() {
        let mut window = Window::new();
        window.enter(ms(100));
        for _ in 0..9 {
            window.tick();
        }
        window.enter(ms(200));
        let (median, high) = window.median_and_99th();
        assert!((median - 0.1).abs() < 0.003 && (high - 0.2).abs() < 0.005, "{median} {high}");
        window.tick();
        assert!((window.median_and_99th().0 - 0.2).abs() < 0.005);
        (0..9).for_each(|_| window.tick());
        assert!(window.median_and_99th().0.is_nan());
    }
}
