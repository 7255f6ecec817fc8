//! Meta's Cloud API on loopback: virtual users with a hidden truth, signed callbacks and faults on demand.
//!
//! A client of the WhatsApp Business Platform can be pointed at it unchanged. What no client of the real platform can
//! do goes through [`Control`], or the same by HTTP under `/_sim`: list everything accepted, make people write, set
//! faults, move time.
//!
//! - [`Simulator::start`] runs one inside another process; [`run`] is the `assent simulator` role.
//! - `world` is the platform itself: pure and seeded, the instant comes with every call.
//! - `engine` lets time pass in a world and hands what it reports to `callbacks`, which signs and sends.
//! - `http` translates requests.
//!
//! The crate shares no code with `assent-whatsapp` on purpose: two readings of the same facts test each other.

mod args;
mod ascii_json;
mod callbacks;
mod clock;
mod config;
mod control;
mod engine;
mod error;
mod http;
mod media_kind;
mod request;
mod sample_files;
mod simulator;
mod tls;
mod world;

pub use args::{Args, MixName, Pace, RulesName};
pub use callbacks::CallbackCounts;
pub use config::{
    Account, App, CallbackLimits, CallbackShape, ClockSettings, Config, ConfigError, DEFAULT_ACCOUNT_ID,
    DEFAULT_APP_ID, DEFAULT_APP_SECRET, DEFAULT_NUMBER_DIGITS, DEFAULT_NUMBER_ID, DEFAULT_TOKEN, DEFAULT_VERIFY_TOKEN,
    Fault, FaultEndpoint, FaultKind, Latency, Mix, Number, Recipient, Rules, Secret, Span, TemplateDefinition, Tls,
};
pub use control::{Control, ControlError, Filter, PersonFile, Report, WaitFor};
pub use simulator::{Handle, Simulator, StartError, run};
pub use tls::TlsError;
pub use world::{AcceptedMessage, PersonView, Rating, ReachedStatus, Relation, Status, Summary, Truth, TruthChange};
