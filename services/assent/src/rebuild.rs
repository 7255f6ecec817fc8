//! `assent rebuild`: read models made again from the log, while the old ones serve.

use std::process::ExitCode;

use assent_event_store::EventStore;
use assent_read_models::{QueryError, View, Views};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{log::Where, output::print};

/// `assent rebuild`.
#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    /// Which read models; several separated by commas
    #[arg(value_enum, value_delimiter = ',', required = true)]
    views: Vec<ViewName>,
    #[command(flatten)]
    place: Where,
}

/// A read model as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ViewName {
    /// All of them
    All,
    /// Every message as it stands
    Messages,
    /// How many messages got how far
    Funnel,
    /// Meta's colour of each number with its history, and our own rates
    Quality,
    /// People not written to, and why
    Blocked,
}

impl ViewName {
    fn views(self) -> Vec<View> {
        match self {
            Self::All => View::ALL.to_vec(),
            Self::Messages => vec![View::Messages],
            Self::Funnel => vec![View::Funnel],
            Self::Quality => vec![View::Quality],
            Self::Blocked => vec![View::Blocked],
        }
    }
}

/// What read models say at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Up to where each shard is folded.
    positions: Vec<u64>,
    /// A digest of each view over all shards, in hexadecimal.
    pub(crate) digests: Vec<(View, String)>,
}

impl Snapshot {
    /// Takes the digests.
    pub(crate) async fn take(views: &Views, names: &[View]) -> Result<Self, QueryError> {
        let mut positions = Vec::new();
        for shard in views.store().shards() {
            positions.push(views.position(shard).await?.position);
        }
        let mut digests = Vec::new();
        for view in names {
            let mut digest = String::new();
            for shard in views.store().shards() {
                let bytes = views.digest(shard, *view).await?;
                // Eight bytes of each shard tell two digests apart well enough for people.
                digest.extend(bytes.iter().take(8).map(|byte| format!("{byte:02x}")));
            }
            digests.push((*view, digest));
        }
        Ok(Self { positions, digests })
    }

    /// Whether `other` was taken at the same place of the log.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        self.positions == other.positions
    }
}

/// Rebuilds; exit code 1 when something else comes out though no event came in meanwhile.
pub(crate) async fn run(command: &Rebuild) -> anyhow::Result<ExitCode> {
    let mut names: Vec<View> = command.views.iter().flat_map(|view| view.views()).collect();
    names.sort_unstable();
    names.dedup();
    let store = EventStore::connect(&command.place.store()?).await?;
    let views = Views::open(&store).await?;
    let before = Snapshot::take(&views, &names).await?;
    let bar = progress_bar();
    let progress = bar.clone();
    views
        .rebuild(&names, move |rebuilding| {
            progress.set_length(rebuilding.total);
            progress.set_position(rebuilding.done);
        })
        .await?;
    let events = bar.position();
    bar.finish_and_clear();
    let after = Snapshot::take(&views, &names).await?;
    store.close().await;
    print(&format!("{events} events folded"));
    let mut same = true;
    for ((view, was), (_, is)) in before.digests.iter().zip(&after.digests) {
        if was == is {
            print(&format!("{view}: {is}, the same as before"));
        } else {
            print(&format!("{view}: {is}, was {was}"));
            same = false;
        }
    }
    if !same && before.is_beside(&after) {
        print("this differs though no event came in: the old read models were wrong; please report it");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// A bar on standard error, where that is a terminal.
pub(crate) fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("    {bar:40.cyan/black.bright} {pos}/{len} events");
    bar.set_style(
        style
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━━╌"),
    );
    bar
}
