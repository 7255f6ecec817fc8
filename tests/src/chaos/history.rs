//! What writers were told, line by line.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::mark::AppendName;

/// What a writer knows about one of its appends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The append.
    pub append: AppendName,
    /// How it ended for the writer.
    pub outcome: Outcome,
}

/// How an append ended for its writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was acknowledged.
    Acknowledged {
        /// Position of its first event.
        first: u64,
        /// Position of its last event.
        last: u64,
        /// Each written stream and its version after the append.
        versions: Vec<(String, u32)>,
        /// Its events in order.
        ids: Vec<Uuid>,
    },
    /// It was told that nothing was written, and that was to be expected.
    Refused {
        /// What it was told.
        answer: Refusal,
    },
    /// It was told that nothing was written although nothing stood in its way.
    WronglyRefused {
        /// What it was told.
        answer: String,
    },
    /// The writer dropped the future.
    Dropped,
    /// It was told that the outcome is not known.
    Unknown,
}

/// An answer that promises that nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Refusal {
    /// A stream was not at the expected version.
    Conflict,
    /// A key was not there.
    KeysGone,
    /// The append was malformed.
    Invalid,
}

/// Writes a process's history. A line is in the file, which outlives the process, when [`write`](Self::write) returns.
#[derive(Debug)]
pub struct HistoryFile {
    file: Mutex<File>,
}

impl HistoryFile {
    /// A new file in `directory`, named after the process.
    pub fn create(directory: &Path, process: &str) -> io::Result<Self> {
        let path = directory.join(format!("{process}.history"));
        let file = OpenOptions::new().create_new(true).append(true).open(path)?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// Adds a line. One system call, so that a killed process leaves whole lines or none.
    pub fn write(&self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&bytes)
    }
}

/// All lines of all processes that wrote into `directory`.
pub fn read_histories(directory: &Path) -> io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for path in history_files(directory)? {
        let text = fs::read_to_string(path)?;
        // What is after the last line feed was never told in full.
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            lines.push(serde_json::from_str(line)?);
        }
    }
    Ok(lines)
}

fn history_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "history") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::{AppendName, HistoryFile, Line, Outcome, read_histories};
    use std::io::Write as _;

    #[test]
    fn whole_lines_are_read_back_and_a_torn_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let history = HistoryFile::create(directory.path(), "writer-0").unwrap();
        let line = Line {
            append: AppendName {
                lane: "0.0.0.0".to_owned(),
                number: 7,
            },
            outcome: Outcome::Dropped,
        };
        history.write(&line).unwrap();
        history.file.lock().unwrap().write_all(b"{\"append\":").unwrap();
        assert_eq!(read_histories(directory.path()).unwrap(), [line]);
    }
}
