//! `assent demo`: a campaign from the first opt-in to the last read receipt, checked against the simulated WhatsApp.
//!
//! One process with everything in it: the four services over SQLite in a temporary directory, and the simulator. The demo
//! itself is a customer: whatever it does goes through the public gRPC API, and people's own acts through the simulator.
//! At the end every count is compared between those who should know it, and the exit code says whether all agree.

mod accounts;
mod campaign;
mod crowd;
mod evidence;
mod rebuild;
mod screen;
mod stage;
mod story;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use assent_proto::v1::MessageCategory;
use assent_simulator::WaitFor;
use clap::Args;

use accounts::{Answer, Ledger};
use campaign::Campaign;
use crowd::Crowd;
use screen::Screen;
use stage::Stage;

/// How long the last statuses may take to arrive.
const SETTLING_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether they have.
const SETTLING_STEP: Duration = Duration::from_millis(150);

/// `assent demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How many virtual people there are
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    users: u32,
    /// Who they are and what they do; the same seed gives the same people
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the demo; exit code 1 when a count does not add up.
pub(crate) async fn run(demo: &Demo) -> anyhow::Result<ExitCode> {
    let screen = Screen::new();
    let begun = Instant::now();
    screen.title(&format!(
        "A WhatsApp campaign to {} virtual people (seed {})",
        demo.users, demo.seed
    ));
    screen.say("One process: the four services, SQLite in a temporary directory, and a simulated WhatsApp.");
    screen.say("Nothing leaves this machine. Whatever happens is an event in a log that only grows.");
    let stage = Stage::start(demo.seed).await?;
    let outcome = tokio::select! {
        outcome = perform(demo, &screen, &stage) => outcome,
        () = stage.shutdown.soft().cancelled() => Err(anyhow::anyhow!("the demo was interrupted")),
    };
    let ended = stage.end().await;
    let discrepancies = outcome?;
    ended?;
    if discrepancies.is_empty() {
        screen.conclude(&format!(
            "Everything adds up. {:.0} seconds.",
            begun.elapsed().as_secs_f64()
        ));
        screen.say("Next: assent up --data-dir ./assent starts it for real; assent --help lists what there is.");
        return Ok(ExitCode::SUCCESS);
    }
    screen.alarm(&format!("{} things do not add up:", discrepancies.len()));
    for discrepancy in &discrepancies {
        screen.alarm(&format!("  {discrepancy}"));
    }
    Ok(ExitCode::FAILURE)
}

/// The acts in order; answers what does not add up.
async fn perform(demo: &Demo, screen: &Screen, stage: &Stage) -> anyhow::Result<Vec<String>> {
    let crowd = Crowd::draw(demo.users as usize, demo.seed);
    let mut ledger = Ledger::default();

    screen.chapter("People agree, and some do not");
    screen.say("An opt-in is recorded with its proof: who, to what, where, in which words.");
    campaign::record_opt_ins(stage, screen, &crowd).await?;

    screen.chapter("A utility campaign: your order is on its way");
    screen.say("Requested for everybody. The gates decide: without a recorded opt-in nothing leaves.");
    stage.wait_until_it_may_send(&crowd).await?;
    let orders = Campaign::new("order-update", MessageCategory::Utility, &crowd.everybody());
    campaign::send(stage, screen, &orders, &mut ledger).await?;

    screen.chapter("A marketing campaign, first half");
    let (first, second) = crowd.halves();
    let spring = |people| Campaign::new("spring-offer", MessageCategory::Marketing, people);
    campaign::send(stage, screen, &spring(&first), &mut ledger).await?;

    screen.chapter("Half-way, people write STOP");
    screen.say("They write it in WhatsApp; it comes in as a signed callback, like any message of theirs.");
    campaign::people_write_stop(stage, screen, &crowd.stoppers()).await?;

    screen.chapter("The marketing campaign, second half");
    screen.say("Still requested for everybody, those who have just written STOP included.");
    campaign::send(stage, screen, &spring(&second), &mut ledger).await?;

    screen.chapter("Sent, delivered, read");
    screen.say("WhatsApp reports each step by a signed callback; in no particular order, so order must not matter.");
    let (witnesses, mut discrepancies) = settle(screen, stage, &ledger).await?;

    screen.chapter("Do the counts add up?");
    screen.table(&witnesses);

    screen.chapter("Why was it sent, why was it held back?");
    story::tell(stage, screen, &ledger).await?;

    screen.chapter("Read models are thrown away and rebuilt");
    discrepancies.extend(rebuild::rebuild(stage, screen).await?);
    Ok(discrepancies)
}

/// Waits until WhatsApp has nothing more to say and all who should know the counts agree, or it takes too long.
async fn settle(
    screen: &Screen,
    stage: &Stage,
    ledger: &Ledger,
) -> anyhow::Result<(Vec<accounts::Witness>, Vec<String>)> {
    let deadline = Instant::now() + SETTLING_MAX;
    let control = stage.simulator.control();
    let expected = ledger
        .answers
        .values()
        .filter(|answer| **answer == Answer::Authorized)
        .count() as u64;
    let bar = screen.bar("callbacks", 3 * expected);
    let idle = WaitFor {
        accepted: Some(expected),
        idle: true,
        timeout_ms: Some(SETTLING_STEP.as_millis() as u64),
        ..WaitFor::default()
    };
    while !control.wait(&idle).await && Instant::now() < deadline {
        bar.set(control.report().callbacks.acknowledged);
    }
    let acknowledged = control.report().callbacks.acknowledged;
    loop {
        let (witnesses, discrepancies) = evidence::gather(stage, ledger).await?;
        if discrepancies.is_empty() || Instant::now() >= deadline {
            bar.done(&format!("{acknowledged} callbacks were taken and folded"));
            return Ok((witnesses, discrepancies));
        }
        tokio::time::sleep(SETTLING_STEP).await;
    }
}
