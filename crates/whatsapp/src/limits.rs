//! Every number of the platform this crate checks, with the page of Meta's documentation it comes from.
//!
//! Meta does not say in which unit it counts. Texts are counted here in Unicode scalar values; titles of buttons, rows and
//! sections in UTF-16 units, which is never more generous.

use std::time::Duration;

/// Body of a text message (Cloud API, "Text messages").
pub const TEXT_BODY_CHARS_MAX: usize = 4096;
/// Caption of an image, a video or a document (Cloud API, "Image messages").
pub const MEDIA_CAPTION_CHARS_MAX: usize = 1024;
/// Our data echoed in every status of a message, `biz_opaque_callback_data` (Cloud API, "Messages" reference).
pub const CALLBACK_DATA_CHARS_MAX: usize = 512;
/// Digits of a phone number after the plus sign (ITU E.164).
pub const PHONE_DIGITS_MAX: usize = 15;
/// Fewest digits of a phone number that a country code and a subscriber can have; below it, it is a typing mistake.
pub const PHONE_DIGITS_MIN: usize = 6;
/// A business-scoped user id, country and separators included (Cloud API, "Business-scoped user IDs").
pub const USER_ID_CHARS_MAX: usize = 140;

/// Name of a template (Business Management API, "Message templates").
pub const TEMPLATE_NAME_CHARS_MAX: usize = 512;
/// Text that fills a template's body variable: no longer than a whole body may be (Business Management API, "Template components").
pub const TEMPLATE_BODY_CHARS_MAX: usize = 1024;
/// Text that fills a template's header variable (Business Management API, "Template components").
pub const TEMPLATE_HEADER_CHARS_MAX: usize = 60;
/// Consecutive spaces allowed inside a text parameter (Cloud API error 132012 and 132018).
pub const PARAMETER_SPACES_MAX: usize = 4;
/// Highest `index` of a template button; there are at most ten (Business Management API, "Template components").
pub const TEMPLATE_BUTTON_INDEX_MAX: u8 = 9;
/// Whole URL of a template's URL button, so also what fills its variable (Business Management API, "Template components").
pub const TEMPLATE_URL_CHARS_MAX: usize = 2000;
/// Code of a copy-code button; 15 before December 2025 (Cloud API, "Coupon templates").
pub const COUPON_CODE_CHARS_MAX: usize = 20;
/// Fewest cards of a carousel (Cloud API, "Media card carousel templates").
pub const CAROUSEL_CARDS_MIN: usize = 2;
/// Most cards of a carousel (same page).
pub const CAROUSEL_CARDS_MAX: usize = 10;

/// Body of an interactive message (Cloud API OpenAPI description v23.0; the guide allows 4096 for lists, this is safe for both).
pub const INTERACTIVE_BODY_CHARS_MAX: usize = 1024;
/// Text header of an interactive message (Cloud API, "Interactive messages").
pub const INTERACTIVE_HEADER_CHARS_MAX: usize = 60;
/// Footer of an interactive message (same page).
pub const INTERACTIVE_FOOTER_CHARS_MAX: usize = 60;
/// Reply buttons of one message (Cloud API, "Interactive reply buttons messages").
pub const REPLY_BUTTONS_MAX: usize = 3;
/// Title of a reply button, label of a list, of a link and of a flow (Cloud API, "Interactive messages").
pub const BUTTON_TITLE_CHARS_MAX: usize = 20;
/// Id of a reply button (Cloud API, "Interactive reply buttons messages").
pub const BUTTON_ID_CHARS_MAX: usize = 256;
/// Sections of a list or of a product list (Cloud API, "Interactive list messages").
pub const LIST_SECTIONS_MAX: usize = 10;
/// Rows of a list, over all its sections (same page).
pub const LIST_ROWS_MAX: usize = 10;
/// Title of a section (same page).
pub const SECTION_TITLE_CHARS_MAX: usize = 24;
/// Id of a row (same page).
pub const ROW_ID_CHARS_MAX: usize = 200;
/// Title of a row (same page).
pub const ROW_TITLE_CHARS_MAX: usize = 24;
/// Description of a row (same page).
pub const ROW_DESCRIPTION_CHARS_MAX: usize = 72;
/// Products of a product list, over all its sections (Cloud API, "Multi-product messages").
pub const PRODUCTS_MAX: usize = 30;
/// Contact cards of one message (Cloud API OpenAPI description v23.0; the guide claims 257).
pub const CONTACTS_MAX: usize = 5;

/// A verification challenge; Meta's are ten digits, this bounds what is echoed to a stranger.
pub const CHALLENGE_CHARS_MAX: usize = 256;
/// Bytes of one callback body (Cloud API, "Webhooks" overview).
pub const CALLBACK_BODY_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Updates in one callback body (same page).
pub const CALLBACK_UPDATES_MAX: usize = 1000;
/// Bytes of an answer this client reads before it gives up on it; real ones are a few kilobytes.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Templates asked for per page; Graph allows more, but a page with long bodies has to stay well under [`ANSWER_BYTES_MAX`].
pub const TEMPLATES_PER_PAGE: usize = 100;
/// Pages read before a listing is called endless: an account may own 6,000 templates (Business Management API, "Message templates").
pub const TEMPLATE_PAGES_MAX: usize = 100;

/// Bytes of a picture (Cloud API, "Media", supported media types; so are the next five).
pub const IMAGE_BYTES_MAX: usize = 5 * 1024 * 1024;
/// Bytes of a sticker that does not move.
pub const STICKER_BYTES_MAX: usize = 100 * 1024;
/// Bytes of a sticker that moves.
pub const ANIMATED_STICKER_BYTES_MAX: usize = 500 * 1024;
/// Bytes of sound.
pub const AUDIO_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a video.
pub const VIDEO_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a document.
pub const DOCUMENT_BYTES_MAX: usize = 100 * 1024 * 1024;
/// Pixels of each side of a sticker (Cloud API, "Sticker messages").
pub const STICKER_SIDE_PIXELS: u32 = 512;
/// Bytes of a voice note that is fetched and played without a tap (Cloud API, "Audio messages").
pub const VOICE_NOTE_INSTANT_BYTES_MAX: usize = 512 * 1024;

/// Footer of a template (Business Management API, "Template components"; so are the next six).
pub const TEMPLATE_FOOTER_CHARS_MAX: usize = 60;
/// Body of a template with a limited-time offer.
pub const OFFER_BODY_CHARS_MAX: usize = 600;
/// Heading of a limited-time offer.
pub const OFFER_TEXT_CHARS_MAX: usize = 16;
/// Coupon code beside a limited-time offer.
pub const OFFER_CODE_CHARS_MAX: usize = 15;
/// Body of a carousel's card.
pub const CARD_BODY_CHARS_MAX: usize = 160;
/// Buttons of a template.
pub const TEMPLATE_BUTTONS_MAX: usize = 10;
/// Label of a template's button.
pub const TEMPLATE_BUTTON_LABEL_CHARS_MAX: usize = 25;
/// Buttons of a template that open a page.
pub const TEMPLATE_URL_BUTTONS_MAX: usize = 2;
/// Phone number on a template's button.
pub const TEMPLATE_PHONE_CHARS_MAX: usize = 20;
/// Buttons from which on some desktop clients show none of them.
pub const TEMPLATE_BUTTONS_SHOWN_EVERYWHERE_MAX: usize = 3;
/// A one-time password (Business Management API, "Authentication templates").
pub const ONE_TIME_PASSWORD_CHARS_MAX: usize = 15;
/// Minutes after which a one-time password may be said to expire (same page).
pub const CODE_EXPIRATION_MINUTES: std::ops::RangeInclusive<i64> = 1..=90;
/// Seconds an undelivered authentication template may be tried (Cloud API, "Time to live").
pub const AUTHENTICATION_TTL_S: std::ops::RangeInclusive<i64> = 30..=900;
/// Seconds an undelivered utility template may be tried (same page).
pub const UTILITY_TTL_S: std::ops::RangeInclusive<i64> = 30..=43_200;
/// Seconds an undelivered marketing template may be tried; by the marketing endpoint only (same page).
pub const MARKETING_TTL_S: std::ops::RangeInclusive<i64> = 43_200..=2_592_000;
/// Templates deleted by id in one call (Business Management API, since December 2025).
pub const TEMPLATES_DELETED_MAX: usize = 100;

/// Users blocked or unblocked in one call; Meta names no number and throttles large ones, so this is ours.
pub const BLOCK_USERS_PER_CALL_MAX: usize = 100;
/// Blocked users asked for per page; ours.
pub const BLOCKED_USERS_PER_PAGE_MAX: u32 = 1000;
/// "About" of a business profile (Cloud API, "Business profiles"; so are the next five).
pub const PROFILE_ABOUT_CHARS_MAX: usize = 139;
/// Address of a business profile.
pub const PROFILE_ADDRESS_CHARS_MAX: usize = 256;
/// Description of a business profile.
pub const PROFILE_DESCRIPTION_CHARS_MAX: usize = 512;
/// E-mail address of a business profile.
pub const PROFILE_EMAIL_CHARS_MAX: usize = 128;
/// Web sites of a business profile.
pub const PROFILE_WEBSITES_MAX: usize = 2;
/// Address of a web site of a business profile.
pub const PROFILE_WEBSITE_CHARS_MAX: usize = 256;
/// Address that overrides where callbacks go (Cloud API, "Webhooks", overrides).
pub const CALLBACK_URL_CHARS_MAX: usize = 200;
/// How long an uploaded file's id can be sent (Cloud API, "Media").
pub const UPLOADED_MEDIA_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// How long a received file can be downloaded (Cloud API, "Media"; 30 days before October 2025).
pub const RECEIVED_MEDIA_LIFETIME: Duration = Duration::from_hours(7 * 24);
/// How long a file may take to be uploaded or downloaded: 100 MB on a line of 10 Mbit/s take 80 seconds.
pub const MEDIA_TRANSFER_TIMEOUT: Duration = Duration::from_mins(2);
