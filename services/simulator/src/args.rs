//! The command line of the `assent simulator` role.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use crate::config::{Config, ConfigError, Latency, Mix, Rules, Secret};

/// Flags of the simulator. They override the file, and concern its first app, account and number.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct Args {
    /// Configuration file, TOML or JSON
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:8090]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Port to listen on; 0 takes a free one, named on the ready line
    #[arg(long)]
    pub port: Option<u16>,
    /// Speak https too, on the same port; the ready line names the authority to trust
    #[arg(long)]
    pub tls: bool,
    /// Keep the authority in this directory for the next start
    #[arg(long, value_name = "DIRECTORY")]
    pub tls_dir: Option<PathBuf>,
    /// A further host name the certificate is good for
    #[arg(long, value_name = "HOST")]
    pub tls_name: Vec<String>,
    /// Where clients reach the simulator, if not at the address it listens on
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Seed of everything random
    #[arg(long)]
    pub seed: Option<u64>,
    /// Access token clients must present
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// App id
    #[arg(long, value_name = "ID")]
    pub app_id: Option<String>,
    /// App secret, the key callbacks are signed with
    #[arg(long, value_name = "SECRET")]
    pub app_secret: Option<String>,
    /// Where callbacks go
    #[arg(long, value_name = "URL")]
    pub callback_url: Option<String>,
    /// Token of the callback verification challenge
    #[arg(long, value_name = "TOKEN")]
    pub verify_token: Option<String>,
    /// WhatsApp Business Account id
    #[arg(long, value_name = "ID")]
    pub waba_id: Option<String>,
    /// Phone-number id
    #[arg(long, value_name = "ID")]
    pub phone_number_id: Option<String>,
    /// The business phone number itself
    #[arg(long, value_name = "E.164")]
    pub phone_number: Option<String>,
    /// How people behave
    #[arg(long, value_enum)]
    pub mix: Option<MixName>,
    /// How long things take
    #[arg(long, value_enum)]
    pub pace: Option<Pace>,
    /// Which of the platform's limits are enforced
    #[arg(long, value_enum)]
    pub rules: Option<RulesName>,
    /// Let time stand still until the control API moves it
    #[arg(long)]
    pub manual_clock: bool,
    /// Give every unknown token its own copy of the configured world
    #[arg(long)]
    pub isolate_tokens: bool,
}

/// Ready-made crowds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MixName {
    /// Every behaviour occurs.
    Lively,
    /// Everybody receives and reads everything.
    Ideal,
}

/// Ready-made latencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pace {
    /// Seconds, as between people.
    Real,
    /// Milliseconds, for tests and load.
    Fast,
}

/// Ready-made rule sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RulesName {
    /// Only the customer service window.
    Window,
    /// Every rate and limit of the platform.
    Meta,
}

impl Args {
    /// Reads the file, if any, lays the flags over it and checks the result.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        let from_file = self.config.is_some();
        let mut config = match &self.config {
            Some(path) => Config::load(path)?,
            None => Config::default(),
        };
        if !from_file {
            config.listen.set_port(8090);
        }
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        if let Some(port) = self.port {
            config.listen.set_port(port);
        }
        if let Some(url) = &self.public_url {
            config.public_url = Some(url.clone());
        }
        if self.tls || self.tls_dir.is_some() || !self.tls_name.is_empty() {
            let tls = config.tls.get_or_insert_default();
            tls.names.extend(self.tls_name.iter().cloned());
            tls.directory = self.tls_dir.clone().or(tls.directory.take());
        }
        config.seed = self.seed.unwrap_or(config.seed);
        config.clock.manual |= self.manual_clock;
        config.isolate_tokens |= self.isolate_tokens;
        match self.mix {
            Some(MixName::Lively) => config.mix = Mix::lively(),
            Some(MixName::Ideal) => config.mix = Mix::ideal(),
            None => {}
        }
        match self.pace {
            Some(Pace::Real) => config.latency = Latency::real(),
            Some(Pace::Fast) => config.latency = Latency::fast(),
            None => {}
        }
        match self.rules {
            Some(RulesName::Window) => config.rules = Rules::default(),
            Some(RulesName::Meta) => config.rules = Rules::meta(),
            None => {}
        }
        self.override_identities(&mut config);
        config.check()?;
        Ok(config)
    }

    fn override_identities(self, config: &mut Config) {
        if let Some(app) = config.apps.first_mut() {
            if let Some(id) = self.app_id {
                // An account that names its app by id keeps pointing at it under the new one.
                for known in config.accounts.iter_mut().flat_map(|account| account.apps.iter_mut()) {
                    if *known == app.id {
                        known.clone_from(&id);
                    }
                }
                app.id = id;
            }
            if let Some(secret) = self.app_secret {
                app.secret = Secret::new(secret);
            }
            if let Some(token) = self.verify_token {
                app.verify_token = Secret::new(token);
            }
            app.callback_url = self.callback_url.or(app.callback_url.take());
        }
        if let Some(account) = config.accounts.first_mut() {
            if let Some(token) = self.token {
                account.tokens = vec![Secret::new(token)];
            }
            account.id = self.waba_id.unwrap_or_else(|| std::mem::take(&mut account.id));
            if let Some(number) = account.numbers.first_mut() {
                number.id = self.phone_number_id.unwrap_or_else(|| std::mem::take(&mut number.id));
                if let Some(phone) = self.phone_number {
                    number.digits = phone.chars().filter(char::is_ascii_digit).collect();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_override_the_first_app_account_and_number() {
        let args = Args {
            port: Some(0),
            app_id: Some("77".to_owned()),
            waba_id: Some("88".to_owned()),
            phone_number_id: Some("99".to_owned()),
            phone_number: Some("+1 555 777 0000".to_owned()),
            token: Some("t".to_owned()),
            mix: Some(MixName::Ideal),
            ..Args::default()
        };
        let config = args.into_config().unwrap();
        assert_eq!(config.listen.port(), 0);
        assert_eq!(config.apps[0].id, "77");
        assert_eq!(config.accounts[0].id, "88");
        assert_eq!(config.accounts[0].numbers[0].id, "99");
        assert_eq!(config.accounts[0].numbers[0].digits, "15557770000");
        assert_eq!(config.accounts[0].tokens, vec![Secret::new("t")]);
        assert_eq!(config.mix, Mix::ideal());
    }
}
