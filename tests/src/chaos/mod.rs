//! Chaos on the log: many processes append, others read, everything is killed at seeded moments, and at the end the
//! history is compared with what each of them was told.
//!
//! * [`mark`]: what each event says about the append it came in, so that the log alone shows half-written appends;
//! * [`history`]: what writers were told, line by line, written down the moment they were told;
//! * [`Role`]: the processes of a run: writers, readers, the relay;
//! * [`conductor`]: starts servers and processes, lets the faults loose and ends the run;
//! * [`check`]: compares log, histories and readers; pure, and tested for each thing it must notice.
//!
//! One seed determines what writers append, which appends they abandon and when, and which fault comes when. The
//! interleaving of processes is the machine's.

pub mod check;
pub mod conductor;
pub mod history;
pub mod mark;
mod nemesis;
mod readers;
mod report;
mod role;
mod writer;

pub use conductor::{ChaosPlan, run};
pub use nemesis::Fault;
pub use readers::{
    DIED_BEFORE_COMMIT, DirectReaderJob, DurableReaderJob, FENCED, HOLDING, Hold, create_seen_table, read_seen,
    seen_position,
};
pub use report::{Lag, Report};
pub use role::{DatabaseAt, READY, RelayJob, Role, SHARD};
pub use writer::WriterJob;
