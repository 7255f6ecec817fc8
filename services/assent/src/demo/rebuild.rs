//! The read models, thrown away and rebuilt.

use std::time::{Duration, Instant};

use anyhow::bail;
use assent_read_models::{View, Views};

use super::{screen::Screen, stage::Stage};
use crate::rebuild::{Snapshot, progress_bar};

/// How long the read models may take to reach the end of the log.
const CATCHING_UP_MAX: Duration = Duration::from_secs(10);
/// Tries until no event comes in while it is rebuilt.
const TRIES: u32 = 5;

/// Rebuilds every view; answers what does not come out the same.
pub(super) async fn rebuild(stage: &Stage, screen: &Screen) -> anyhow::Result<Vec<String>> {
    let store = &stage.platform().store;
    let views = Views::open(store).await?;
    screen.say("They are folds over the log, so they can be made again at any time, while the old ones go on serving.");
    for _ in 0..TRIES {
        wait_until_caught_up(&views).await?;
        let before = Snapshot::take(&views, &View::ALL).await?;
        let begun = Instant::now();
        let bar = progress_bar();
        let progress = bar.clone();
        views
            .rebuild(&View::ALL, move |rebuilding| {
                progress.set_length(rebuilding.total);
                progress.set_position(rebuilding.done);
            })
            .await?;
        let (events, elapsed) = (bar.position(), begun.elapsed());
        bar.finish_and_clear();
        let after = Snapshot::take(&views, &View::ALL).await?;
        if !before.is_beside(&after) {
            continue;
        }
        screen.good(&format!("{events} events folded anew in {} ms", elapsed.as_millis()));
        return Ok(compare(screen, &before, &after));
    }
    bail!("events kept coming in while the read models were rebuilt")
}

fn compare(screen: &Screen, before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let mut discrepancies = Vec::new();
    for ((view, was), (_, is)) in before.digests.iter().zip(&after.digests) {
        if was == is {
            screen.good(&format!("{view:<9} {is}, the same as before"));
        } else {
            discrepancies.push(format!("the read model {view} was {was} and is {is} after the rebuild"));
        }
    }
    discrepancies
}

async fn wait_until_caught_up(views: &Views) -> anyhow::Result<()> {
    let deadline = Instant::now() + CATCHING_UP_MAX;
    for shard in views.store().shards() {
        while views.position(shard).await?.position < views.store().head(shard).await? {
            if Instant::now() >= deadline {
                bail!("the read models do not catch up with the log");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}
