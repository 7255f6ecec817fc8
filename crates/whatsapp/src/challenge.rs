//! The GET by which Meta checks that a callback endpoint is ours (Cloud API webhook reference, "Verification requests").

use aws_lc_rs::constant_time;
use serde::Deserialize;

use crate::limits::CHALLENGE_CHARS_MAX;
use crate::secret::Secret;

/// The query of a verification request. The names contain literal dots.
#[derive(Clone, Default, Deserialize)]
pub struct ChallengeQuery {
    /// Must be `subscribe`.
    #[serde(rename = "hub.mode")]
    pub mode: Option<String>,
    /// The token that was entered where the callback URL was configured.
    #[serde(rename = "hub.verify_token")]
    pub verify_token: Option<Secret>,
    /// To be answered as it came, as the whole body of a 200.
    #[serde(rename = "hub.challenge")]
    pub challenge: Option<String>,
}

impl std::fmt::Debug for ChallengeQuery {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ChallengeQuery")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// Why a verification request is refused; every one is answered with 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// `hub.mode` is missing or not `subscribe`.
    #[error("hub.mode is not subscribe")]
    WrongMode,
    /// `hub.verify_token` is missing or none of ours.
    #[error("hub.verify_token does not match")]
    WrongToken,
    /// `hub.challenge` is missing, or longer than any challenge Meta sends.
    #[error("hub.challenge is missing or too long")]
    NoChallenge,
}

/// Checks a verification request and gives the body to answer. Tokens are compared in constant time, all of them.
pub fn answer<'query>(query: &'query ChallengeQuery, verify_tokens: &[Secret]) -> Result<&'query str, ChallengeError> {
    if query.mode.as_deref() != Some("subscribe") {
        return Err(ChallengeError::WrongMode);
    }
    let offered = query
        .verify_token
        .as_ref()
        .ok_or(ChallengeError::WrongToken)?
        .expose()
        .as_bytes();
    let mut known = false;
    for token in verify_tokens {
        let token = token.expose().as_bytes();
        // An empty token is a configuration mistake, never a key that fits.
        known |= !token.is_empty() && constant_time::verify_slices_are_equal(token, offered).is_ok();
    }
    if !known {
        return Err(ChallengeError::WrongToken);
    }
    let challenge = query.challenge.as_deref().ok_or(ChallengeError::NoChallenge)?;
    if challenge.is_empty() || challenge.chars().count() > CHALLENGE_CHARS_MAX {
        return Err(ChallengeError::NoChallenge);
    }
    Ok(challenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(mode: &str, token: &str, challenge: &str) -> ChallengeQuery {
        let value = serde_json::json!({"hub.mode": mode, "hub.verify_token": token, "hub.challenge": challenge});
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_right_token_gets_its_challenge_back() {
        let tokens = [Secret::new("old"), Secret::new("new")];
        assert_eq!(
            answer(&query("subscribe", "new", "1158201444"), &tokens),
            Ok("1158201444")
        );
    }

    #[test]
    fn everything_else_is_refused() {
        let tokens = [Secret::new("new"), Secret::new("")];
        assert_eq!(
            answer(&query("unsubscribe", "new", "1"), &tokens),
            Err(ChallengeError::WrongMode)
        );
        assert_eq!(
            answer(&query("subscribe", "guess", "1"), &tokens),
            Err(ChallengeError::WrongToken)
        );
        assert_eq!(
            answer(&query("subscribe", "", "1"), &tokens),
            Err(ChallengeError::WrongToken)
        );
        assert_eq!(
            answer(&query("subscribe", "new", ""), &tokens),
            Err(ChallengeError::NoChallenge)
        );
        assert_eq!(
            answer(&query("subscribe", "new", &"1".repeat(5000)), &tokens),
            Err(ChallengeError::NoChallenge)
        );
        assert_eq!(
            answer(&ChallengeQuery::default(), &tokens),
            Err(ChallengeError::WrongMode)
        );
    }
}
