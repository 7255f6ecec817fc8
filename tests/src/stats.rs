//! What reports are made of: percentiles, the cost of an fsync, and the machine they were taken on.

use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

/// A block as databases write it, in bytes.
const FSYNC_BLOCK_BYTES: usize = 8 * 1024;
const FSYNC_ROUNDS: usize = 200;

/// Measurements of one thing in one unit, all kept: a run has at most a few million, and percentiles are then exact.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    values: Vec<f64>,
}

impl Samples {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn record(&mut self, value: f64) {
        self.values.push(value);
    }

    /// Adds those of another task or process.
    pub fn merge(&mut self, other: Self) {
        self.values.extend(other.values);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The figures for a report; none without measurements.
    pub fn summary(&self) -> Option<Summary> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let max = *sorted.last()?;
        Some(Summary {
            count: sorted.len(),
            mean: sorted.iter().sum::<f64>() / sorted.len() as f64,
            p50: nearest_rank(&sorted, 50.0)?,
            p90: nearest_rank(&sorted, 90.0)?,
            p99: nearest_rank(&sorted, 99.0)?,
            p999: nearest_rank(&sorted, 99.9)?,
            max,
        })
    }

    /// The smallest measurement that at least `percent` of all do not exceed (nearest rank); none without any.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        nearest_rank(&sorted, percent)
    }

    /// The share of measurements above a limit, 0 to 1; 0 without any.
    pub fn share_above(&self, limit: f64) -> f64 {
        let above = self.values.iter().filter(|value| **value > limit).count();
        above as f64 / self.values.len().max(1) as f64
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self {
            values: values.into_iter().collect(),
        }
    }
}

/// The distribution of [`Samples`], in their unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many measurements.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Half of them are not above this.
    pub p50: f64,
    /// 90 % are not above this.
    pub p90: f64,
    /// 99 % are not above this.
    pub p99: f64,
    /// 99.9 % are not above this.
    pub p999: f64,
    /// The largest.
    pub max: f64,
}

fn nearest_rank(sorted: &[f64], percent: f64) -> Option<f64> {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank.min(sorted.len()).checked_sub(1)?).copied()
}

/// The median time, in microseconds, to write 8 KiB over existing blocks of a file and `fdatasync` it: what one commit
/// costs a database on this disk at the least.
pub fn measure_fsync(directory: &Path) -> io::Result<f64> {
    let block = [0x5a_u8; FSYNC_BLOCK_BYTES];
    let mut file: File = tempfile::tempfile_in(directory)?;
    // Databases write their logs into files that exist already; growing one costs a journal commit more.
    file.write_all(&vec![0; FSYNC_BLOCK_BYTES * FSYNC_ROUNDS])?;
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let mut times = Samples::new();
    for _ in 0..FSYNC_ROUNDS {
        let started = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.record(started.elapsed().as_secs_f64() * 1e6);
    }
    Ok(times.percentile(50.0).unwrap_or_default())
}

/// The machine a report was made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The processor's own name.
    pub cpu_model: String,
    /// How many cores this process may use.
    pub cores: usize,
    /// Main memory in bytes.
    pub memory_bytes: u64,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// This machine; what cannot be found out is `unknown` or 0.
    pub fn describe() -> Self {
        let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_else(|_| "unknown".to_owned());
        Self {
            cpu_model: field(&processor, "model name").unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: field(&memory, "MemTotal").and_then(parse_kilobytes).unwrap_or(0),
            kernel: kernel.trim().to_owned(),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gibibytes = self.memory_bytes as f64 / f64::from(1 << 30);
        write!(
            formatter,
            "{}, {} cores, {gibibytes:.1} GiB, Linux {}",
            self.cpu_model, self.cores, self.kernel
        )
    }
}

/// The value of the first `name : value` line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

fn parse_kilobytes(value: &str) -> Option<u64> {
    value
        .strip_suffix(" kB")?
        .parse::<u64>()
        .ok()
        .map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::{Machine, Samples, field, measure_fsync, parse_kilobytes};

    #[test]
    fn percentiles_are_measurements_that_were_taken() {
        let samples: Samples = (1..=100).rev().map(f64::from).collect();
        assert_eq!(samples.percentile(50.0), Some(50.0));
        assert_eq!(samples.percentile(99.0), Some(99.0));
        assert_eq!(samples.percentile(99.9), Some(100.0));
        assert_eq!(samples.percentile(0.0), Some(1.0));
        assert_eq!(samples.percentile(100.0), Some(100.0));
    }

    #[test]
    fn one_measurement_is_all_percentiles_and_none_is_no_figure() {
        let mut samples = Samples::new();
        assert_eq!(samples.percentile(50.0), None);
        assert_eq!(samples.summary(), None);
        samples.record(7.0);
        let summary = samples.summary().unwrap();
        assert_eq!(
            (summary.p50, summary.p99, summary.max, summary.count),
            (7.0, 7.0, 7.0, 1)
        );
    }

    #[test]
    fn merged_samples_count_all() {
        let mut samples: Samples = [1.0, 2.0].into_iter().collect();
        samples.merge([3.0, 10.0].into_iter().collect());
        let summary = samples.summary().unwrap();
        assert_eq!(
            (summary.count, summary.mean, summary.p50, summary.max),
            (4, 4.0, 2.0, 10.0)
        );
    }

    #[test]
    fn an_fsync_takes_time() {
        let directory = tempfile::tempdir().unwrap();
        assert!(measure_fsync(directory.path()).unwrap() > 0.0);
    }

    #[test]
    fn the_machine_describes_itself() {
        let machine = Machine::describe();
        assert!(machine.cores >= 1);
        assert!(machine.memory_bytes > 1 << 28);
        assert!(!machine.to_string().contains('\n'));
    }

    #[test]
    fn fields_of_proc_files_are_found_by_name() {
        let text = "processor\t: 0\nmodel name\t: A Processor: 3 GHz\nmodel\t\t: 17\n";
        assert_eq!(field(text, "model name"), Some("A Processor: 3 GHz"));
        assert_eq!(field(text, "model"), Some("17"));
        assert_eq!(parse_kilobytes("24000 kB"), Some(24_576_000));
    }
}
