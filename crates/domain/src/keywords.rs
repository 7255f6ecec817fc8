//! What a person wants when they answer with one word.
//!
//! A message counts only as a whole: "stop" stops, "please stop by at nine" does not. Capitals, diacritics, spaces,
//! punctuation and emoji make no difference, so `*Stop!*`, `ARRÊT` and the button payload `STOP_PROMOTIONS` are all found.
//!
//! A word that asks for messages again is recognised but is never consent by itself: it does not say to what the person
//! agrees, and who may have been texted by mistake has not opted in. Only a recorded opt-in brings somebody back.

/// Longest message that is looked at, in bytes. Every word of ours is far shorter.
const TEXT_BYTES_MAX: usize = 128;

/// What a word stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wish {
    /// No more messages.
    Stop,
    /// Messages again. Not consent.
    Start,
}

/// Words for no more messages, folded: English with the words carriers ask for, French, Spanish, Portuguese, German,
/// Italian, Dutch, Polish, Turkish, Indonesian, Russian, Arabic, Chinese and Japanese.
const STOP: [&str; 54] = [
    "stop",
    "stopall",
    "stopit",
    "stopplease",
    "pleasestop",
    "stoppromotions",
    "stopmarketing",
    "unsubscribe",
    "unsubscribeall",
    "cancel",
    "cancelall",
    "end",
    "quit",
    "optout",
    "revoke",
    "remove",
    "removeme",
    "arret",
    "arreter",
    "desabonner",
    "desabonnement",
    "desinscrire",
    "medesabonner",
    "baja",
    "bajar",
    "parar",
    "cancelar",
    "dardebaja",
    "darmedebaja",
    "nomas",
    "salir",
    "sair",
    "pare",
    "descadastrar",
    "cancelarinscricao",
    "remover",
    "stopp",
    "abmelden",
    "abbestellen",
    "austragen",
    "abmeldung",
    "annulla",
    "disiscrivi",
    "disiscrivimi",
    "cancellami",
    "afmelden",
    "uitschrijven",
    "rezygnuje",
    "iptal",
    "berhenti",
    "стоп",
    "отписаться",
    "توقف",
    "停止",
];

/// Words for messages again, folded.
const START: [&str; 14] = [
    "start",
    "unstop",
    "subscribe",
    "resume",
    "optin",
    "alta",
    "suscribir",
    "inscrever",
    "voltar",
    "abonner",
    "sabonner",
    "anmelden",
    "iscrivimi",
    "aanmelden",
];

/// What the person wants, if the text as a whole is one of the words.
pub fn wish(text: &str) -> Option<Wish> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let folded: String = text.chars().flat_map(char::to_lowercase).filter_map(fold).collect();
    if STOP.contains(&folded.as_str()) {
        Some(Wish::Stop)
    } else if START.contains(&folded.as_str()) {
        Some(Wish::Start)
    } else {
        None
    }
}

/// A small letter without its diacritic; nothing for what is no letter or digit.
fn fold(letter: char) -> Option<char> {
    let plain = match letter {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => 'a',
        'ç' => 'c',
        'è' | 'é' | 'ê' | 'ë' | 'ę' => 'e',
        'ì' | 'í' | 'î' | 'ï' | 'ı' => 'i',
        'ñ' | 'ń' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => 'o',
        'ş' | 'ś' | 'š' => 's',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        'ý' | 'ÿ' => 'y',
        // Full-width letters, as East Asian keyboards write them.
        'ａ'..='ｚ' => char::from_u32(u32::from(letter) - u32::from('ａ') + u32::from('a'))?,
        other => other,
    };
    // The dot that lower-casing a Turkish capital leaves behind is a mark, not a letter.
    plain.is_alphanumeric().then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stops_however_it_is_written() {
        for text in [
            "STOP",
            "stop",
            " Stop. ",
            "*STOP*",
            "„Stop!“",
            "S.T.O.P",
            "stop 🙏",
            "Stop All",
            "UNSUBSCRIBE",
            "Cancel",
            "END",
            "quit",
            "STOPALL",
            "ARRÊT",
            "arret",
            "Baja",
            "PARAR",
            "Sair",
            "STOPP",
            "İPTAL",
            "ＳＴＯＰ",
            "STOP_PROMOTIONS",
            "opt-out",
            "Стоп",
        ] {
            assert_eq!(wish(text), Some(Wish::Stop), "{text}");
        }
    }

    #[test]
    fn a_word_within_a_sentence_is_no_wish() {
        for text in [
            "",
            " ",
            "!",
            "please stop by at nine",
            "When does it end?",
            "don't stop",
            "cancel my order",
            "stopover",
            &"stop ".repeat(40),
        ] {
            assert_eq!(wish(text), None, "{text}");
        }
    }

    #[test]
    fn asking_for_messages_again_is_recognised_and_is_another_wish() {
        for text in ["START", "Unstop", "subscribe", "opt in"] {
            assert_eq!(wish(text), Some(Wish::Start), "{text}");
        }
    }

    #[test]
    fn every_word_is_found_by_itself() {
        for word in STOP {
            assert_eq!(wish(word), Some(Wish::Stop), "{word}");
        }
        for word in START {
            assert_eq!(wish(word), Some(Wish::Start), "{word}");
        }
    }
}
