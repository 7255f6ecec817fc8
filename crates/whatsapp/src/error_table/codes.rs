//! The rows. One line each, so that the table can be read as one.

use super::{
    ErrorEntry,
    Fault::{self, Account, Ours, Platform, Recipient},
    RetryClass::{self, FixFirst, Ignore, Later, Never, Safe, Stop, UnsafeMayHaveBeenSent as Unsafe},
    Scope::{self, Message, Number, Pair, Template, Token},
};

const WABA: Scope = Scope::Account;
const APP: Scope = Scope::Platform;

const fn row(
    code: i64,
    meaning: &'static str,
    fault: Fault,
    scope: Scope,
    retry: RetryClass,
    remedy: &'static str,
) -> ErrorEntry {
    range(code, code, meaning, fault, scope, retry, remedy)
}

const fn range(
    first: i64,
    last: i64,
    meaning: &'static str,
    fault: Fault,
    scope: Scope,
    retry: RetryClass,
    remedy: &'static str,
) -> ErrorEntry {
    ErrorEntry {
        first,
        last,
        meaning,
        fault,
        scope,
        retry,
        remedy,
    }
}

/// Single codes in ascending order.
#[rustfmt::skip]
pub static CODES: &[ErrorEntry] = &[
    // Authorisation, Graph limits and integrity.
    row(0, "the token cannot be authenticated", Ours, Token, Stop, "renew the access token"),
    row(1, "unknown error of the API", Platform, Message, Unsafe, "wait for a status; if none comes, check the request"),
    row(2, "service temporarily unavailable", Platform, Message, Unsafe, "wait for a status, then back off"),
    row(3, "the app lacks a capability or permission", Ours, APP, Stop, "grant the app the capability"),
    row(4, "too many calls by the app", Ours, APP, Safe, "slow the whole app down, backing off exponentially"),
    row(10, "permission not granted or removed", Ours, Token, Stop, "grant the permission and renew the token"),
    row(33, "the phone-number id does not exist", Ours, Number, Stop, "correct the phone-number id"),
    row(100, "invalid, unknown or missing parameter", Ours, Message, FixFirst, "correct the field named in the details"),
    row(104, "the access token is missing or wrongly signed", Ours, Token, Stop, "send a valid access token"),
    row(190, "the access token has expired or is invalid", Ours, Token, Stop, "renew the access token"),
    row(200, "no token, or no access to the asset", Ours, Token, Stop, "give the token access to the account and the number"),
    row(368, "the account is blocked for violating a policy", Account, WABA, Stop, "stop the account and appeal in WhatsApp Manager"),
    row(408, "the message expired before it was delivered (on-premises)", Recipient, Message, Never, "none; today such a message ends in silence"),
    row(410, "the message expired (on-premises)", Recipient, Message, Never, "none; today such a message ends in silence"),
    row(613, "a custom rate limit was reached", Ours, APP, Safe, "call this endpoint less often"),
    row(803, "the object does not exist, or the token may not see it", Ours, Token, FixFirst, "correct the id, or grant the permission"),
    row(2_200, "the callback address did not answer Meta's challenge", Ours, Number, FixFirst, "make the address answer the challenge, then set it again"),
    row(80_007, "too many management calls for the account", Ours, WABA, Safe, "slow management calls down; message throughput is not meant"),

    // Recipient, delivery and number throughput.
    row(130_403, "we have blocked this user", Ours, Pair, Never, "unblock the user first"),
    row(130_429, "the number's throughput was exceeded", Ours, Number, Safe, "send slower from this number"),
    row(130_472, "the user is in a holdout group for marketing", Platform, Pair, Never, "not this template to this user, unless they write first"),
    row(130_497, "this business may not message the recipient's country", Account, Pair, Never, "take the country out of the audience"),
    row(131_000, "something went wrong at Meta", Platform, Message, Unsafe, "wait for a status; as a status itself it is final"),
    row(131_005, "access denied", Ours, Token, Stop, "grant the permission and renew the token"),
    row(131_008, "a required parameter is missing", Ours, Message, FixFirst, "add the parameter named in the details"),
    row(131_009, "a parameter has an invalid value", Ours, Message, FixFirst, "correct the parameter named in the details"),
    row(131_016, "service unavailable", Platform, Message, Unsafe, "wait for a status, then back off"),
    row(131_020, "the group is not valid", Ours, Message, FixFirst, "correct the group"),
    row(131_021, "recipient and sender are the same number", Ours, Message, FixFirst, "correct the recipient"),
    row(131_026, "the recipient cannot be reached on WhatsApp", Recipient, Pair, Never, "send nothing more until the user writes"),
    row(131_030, "the recipient is not on the test number's list", Ours, Pair, FixFirst, "add the recipient to the list, or use a live number"),
    row(131_031, "the account is locked", Account, WABA, Stop, "stop the account and look at WhatsApp Manager"),
    row(131_037, "the number needs an approved display name", Account, Number, Stop, "have the display name approved"),
    row(131_041, "the group is not known", Ours, Message, FixFirst, "correct the group"),
    row(131_042, "there is a problem with the account's payment", Account, WABA, Stop, "repair credit line, currency or time zone in WhatsApp Manager"),
    row(131_044, "there is a problem with the payment for calls", Account, WABA, Stop, "repair the payment method"),
    row(131_045, "the number is not registered correctly", Account, Number, Stop, "register the number again"),
    row(131_047, "more than 24 hours since the user last wrote", Ours, Pair, FixFirst, "send a template instead"),
    row(131_048, "too many users have blocked or reported the number", Account, Number, Stop, "stop business-initiated messages and look at the quality"),
    row(131_049, "Meta chose not to deliver, to keep the user from too much marketing", Platform, Pair, Later, "not before 24 hours, then at growing intervals, two or three times at most"),
    row(131_050, "the user has stopped marketing from this business", Recipient, Pair, Never, "record the withdrawal and send no more marketing"),
    row(131_051, "the message type is not supported", Ours, Message, FixFirst, "use a documented type"),
    row(131_052, "media the user sent could not be fetched", Recipient, Message, Ignore, "ask the user to send it another way"),
    row(131_053, "the media of the message could not be used", Ours, Message, FixFirst, "check type, size and reachability of the file"),
    row(131_055, "the method is not allowed here", Ours, Message, FixFirst, "use the endpoint made for this kind of message"),
    row(131_056, "too many messages to this user in a short time", Ours, Pair, Safe, "wait 1, 4, 16, 64 seconds for this user only"),
    row(131_057, "the number is in maintenance for up to a minute", Platform, Number, Unsafe, "wait for a status and at least a minute"),
    row(131_059, "the cursor of the listing is not valid", Ours, Message, FixFirst, "start the listing again"),
    row(131_061, "a template with a price limit needs the marketing endpoint", Ours, Template, FixFirst, "send it by the marketing endpoint"),
    row(131_062, "a business-scoped user id cannot be used here", Ours, Message, FixFirst, "use the phone number"),
    row(131_063, "the account sends marketing by the marketing endpoint only", Ours, WABA, FixFirst, "send it by the marketing endpoint"),
    row(131_064, "the account is limited for wrongly classified templates", Account, WABA, Stop, "wait until it lifts by itself and correct the categories"),

    // Groups.
    row(131_201, "group operation failed", Ours, Message, FixFirst, "see the details"),
    row(131_202, "group operation failed", Ours, Message, FixFirst, "see the details"),
    row(131_204, "group operation failed", Ours, Message, FixFirst, "see the details"),
    row(131_207, "group operation failed", Ours, Message, FixFirst, "see the details"),
    row(131_208, "too many group operations", Ours, Number, Safe, "slow group operations down"),
    row(131_209, "group operation failed", Ours, Message, FixFirst, "see the details"),
    row(131_210, "group operation failed", Ours, Message, FixFirst, "see the details"),
    row(131_211, "group operation failed", Ours, Message, FixFirst, "see the details"),
    row(131_212, "group operation failed", Ours, Message, FixFirst, "see the details"),
    row(131_213, "group operation failed", Ours, Message, FixFirst, "see the details"),
    row(131_214, "group operation failed", Ours, Message, FixFirst, "see the details"),
    row(131_215, "group operation failed", Ours, Message, FixFirst, "see the details"),

    // Templates and flows.
    row(132_000, "the number of template parameters is wrong", Ours, Template, FixFirst, "give as many parameters as the template has variables"),
    row(132_001, "the template does not exist in this language or is not approved", Ours, Template, Stop, "correct name and language, or wait for the approval"),
    row(132_005, "the filled-in text is too long", Ours, Message, FixFirst, "shorten the parameters for this recipient"),
    row(132_007, "the content violates a policy", Ours, Template, Stop, "change the template"),
    row(132_008, "a template parameter has an invalid value", Ours, Message, FixFirst, "correct the parameter"),
    row(132_012, "a template parameter is of the wrong kind", Ours, Template, Stop, "give parameters of the kinds the template was approved with"),
    row(132_015, "the template is paused for low quality", Account, Template, Stop, "wait for the end of the pause, or change the template"),
    row(132_016, "the template is disabled for good", Account, Template, Stop, "use a new template"),
    row(132_018, "the template parameters are not valid", Ours, Message, FixFirst, "no line breaks, tabs or long runs of spaces in parameters"),
    row(132_068, "the flow is blocked", Account, Template, Stop, "repair the flow"),
    row(132_069, "the flow is throttled", Account, Template, Later, "at most ten of these messages an hour"),

    // Registration.
    row(133_000, "an earlier deregistration is incomplete", Platform, Number, Stop, "deregister the number again"),
    row(133_004, "server temporarily unavailable", Platform, Number, Unsafe, "wait for a status, then back off"),
    row(133_005, "the two-step PIN is wrong", Ours, Number, Stop, "use the right PIN, or reset it"),
    row(133_006, "the number must be verified again", Ours, Number, Stop, "request a code and verify the number"),
    row(133_008, "too many wrong PINs", Ours, Number, Later, "wait as long as the details say"),
    row(133_009, "PINs entered too fast", Ours, Number, Later, "wait as long as the details say"),
    row(133_010, "the number is not registered", Ours, Number, Stop, "register the number"),
    row(133_015, "the number was deleted a moment ago", Ours, Number, Later, "wait five minutes"),
    row(133_016, "too many registrations", Ours, Number, Later, "wait 72 hours"),

    // Marketing endpoint, payments, other requests.
    row(134_011, "the terms for payments are not accepted", Account, WABA, Stop, "accept the terms in WhatsApp Manager"),
    row(134_100, "only marketing templates go by this endpoint", Ours, Template, FixFirst, "send it by the ordinary endpoint"),
    row(134_101, "the template is still being synchronised", Platform, Template, Later, "wait ten minutes"),
    row(134_102, "the template cannot be used by this endpoint", Platform, Template, Stop, "check the onboarding to the marketing endpoint"),
    row(135_000, "unspecified problem with the request", Ours, Message, FixFirst, "check the request"),
    row(136_024, "the verification code could not be sent", Platform, Number, Later, "try again later, or by the other method"),
    row(137_000, "the user's identity key has changed", Recipient, Pair, FixFirst, "verify the person again, then use the new hash"),

    // Calls.
    row(138_000, "calling is not enabled", Ours, Number, FixFirst, "enable calling on the number"),
    row(138_001, "the user cannot be called", Recipient, Pair, Never, "write instead"),
    row(138_002, "too many calls at the same time", Ours, Number, Later, "wait for calls to end"),
    row(138_003, "there is a call with this user already", Ours, Pair, FixFirst, "end the other call first"),
    row(138_004, "the call could not be connected", Platform, Message, Later, "call again later"),
    row(138_005, "too many calls in a short time", Ours, Number, Later, "call less often"),
    row(138_006, "the user has not permitted calls", Recipient, Pair, FixFirst, "ask for the permission"),
    row(138_007, "the call timed out", Platform, Message, Later, "call again later"),
    row(138_009, "too many requests for permission to call", Ours, Pair, Later, "ask again after the limit's period"),
    row(138_012, "too many connected calls to this user in 24 hours", Ours, Pair, Later, "wait 24 hours"),
    row(138_013, "calling is not available", Platform, Number, Later, "call again later"),
    row(138_014, "calling is restricted for low quality", Account, Number, Stop, "improve the quality of calls"),
    row(138_015, "the messaging limit is too low for calls", Account, Number, FixFirst, "reach a limit of 2,000 users"),
    row(138_017, "there is a permanent permission already", Ours, Pair, Ignore, "none"),
    row(138_018, "a requirement for calls is not met", Ours, Number, FixFirst, "meet the requirement named in the details"),
    row(138_019, "the call failed in the client", Recipient, Message, Later, "call again later"),
    row(138_020, "the call failed in the client", Recipient, Message, Later, "call again later"),
    row(138_021, "the call's media failed", Platform, Message, Later, "check the media path"),
    row(138_022, "the call's media failed", Platform, Message, Later, "check the media path"),
    row(138_023, "the call's relay failed", Platform, Message, Later, "check the media path"),
    row(138_024, "the SIP set-up failed", Ours, Number, FixFirst, "check the SIP settings"),
    row(138_025, "the SIP set-up failed", Ours, Number, FixFirst, "check the SIP settings"),

    // Flow management, block list, direct send, health.
    row(139_000, "the flow was blocked by an integrity check", Account, Template, Stop, "see what the error says for people"),
    row(139_001, "the flow could not be updated", Ours, Template, Stop, "see what the error says for people"),
    row(139_002, "the flow could not be published", Ours, Template, Stop, "see what the error says for people"),
    row(139_003, "the flow could not be deprecated", Ours, Template, Stop, "see what the error says for people"),
    row(139_004, "the flow could not be deleted", Ours, Template, Stop, "see what the error says for people"),
    row(139_100, "some users could not be blocked", Recipient, Pair, FixFirst, "see the error of each user"),
    row(139_101, "the block list is full", Ours, Number, Stop, "unblock users first"),
    row(139_102, "the block list changed while it was read", Platform, Number, Safe, "start again from the first page"),
    row(139_103, "the block list failed internally", Platform, Number, Unsafe, "read the block list, then decide"),
    row(139_200, "sending without a template is not permitted", Ours, WABA, FixFirst, "send an approved template"),
    row(141_002, "the template is not approved", Ours, Template, Stop, "wait for the approval"),

    // Management.
    row(200_005, "template statistics are not available", Ours, WABA, FixFirst, "enable them for the account"),
    row(200_006, "template statistics are not available", Ours, WABA, FixFirst, "enable them for the account"),
    row(200_007, "template statistics are not available", Ours, WABA, FixFirst, "enable them for the account"),
    row(1_752_041, "the onboarding was requested already", Ours, WABA, Ignore, "none"),
    row(2_388_019, "the account has as many templates as it may", Ours, WABA, FixFirst, "delete templates first"),
    row(2_388_024, "there is a template of this name in this language already", Ours, Template, FixFirst, "edit that one, or choose another name"),
    row(2_388_039, "the template cannot be edited in its state", Ours, Template, FixFirst, "wait for its state to change"),
    row(2_388_040, "a text of the template is too long", Ours, Template, FixFirst, "shorten it"),
    row(2_388_047, "the template's header is not valid", Ours, Template, FixFirst, "correct the header"),
    row(2_388_072, "the template's body is not valid", Ours, Template, FixFirst, "correct the body"),
    row(2_388_073, "the template's footer is not valid", Ours, Template, FixFirst, "correct the footer"),
    row(2_388_293, "the template has too many variables for its length", Ours, Template, FixFirst, "fewer variables, or more text"),
    row(2_388_299, "the template starts or ends with a variable", Ours, Template, FixFirst, "put text around the variable"),
    row(2_494_100, "the number is in maintenance", Platform, Number, Unsafe, "wait for a status and some minutes"),
    row(2_593_107, "the synchronisation with the phone app is limited", Ours, Number, Stop, "start the onboarding again"),
    row(2_593_108, "the synchronisation with the phone app is over", Ours, Number, Stop, "start the onboarding again"),
];

/// Ranges in which Meta names only some codes, in ascending order. A single code in [`CODES`] goes first.
#[rustfmt::skip]
pub static RANGES: &[ErrorEntry] = &[
    range(201, 299, "a permission is missing", Ours, Token, Stop, "grant the permission and renew the token"),
    range(131_200, 131_299, "group operation failed", Ours, Message, FixFirst, "see the details"),
    range(138_000, 138_025, "the call failed", Platform, Message, Later, "see the details"),
    range(147_001, 147_005, "operation on the business username failed", Ours, Number, FixFirst, "see the details"),
    range(2_388_000, 2_388_999, "template or number could not be created or moved", Ours, Template, FixFirst, "see what the error says for people"),
];

/// Codes of the on-premises API, which ended in October 2025, and the code of today that comes closest. Ascending.
#[rustfmt::skip]
pub static ON_PREMISES: &[(i64, i64)] = &[
    (402, 131_042), (429, 130_429), (470, 131_047), (471, 131_048), (472, 130_472), (480, 137_000), (500, 131_000),
    (1000, 131_000), (1004, 131_000), (1005, 131_005), (1006, 131_026), (1007, 33), (1008, 131_008), (1009, 131_009),
    (1010, 100), (1011, 131_016), (1013, 131_026), (1014, 131_000), (1015, 130_429), (1016, 131_016), (1021, 131_021),
    (1026, 131_026), (2000, 132_000), (2001, 132_001), (2002, 132_001), (2003, 131_053), (2004, 132_012), (2005, 132_012),
    (2006, 132_001), (2007, 132_012), (2008, 132_005), (2061, 132_015), (2062, 132_016),
];
