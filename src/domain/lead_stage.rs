//! Stages of the sales funnel: the tenant's own, in the tenant's own words.

use super::bounded::bounded_number;
use super::lead::Stage;
use serde::Serialize;
use utoipa::ToSchema;

/// Most stages of a funnel.
pub const MOST_STAGES: i64 = 100;

bounded_number!(
    /// A place in the funnel, from 1.
    StagePosition, 1, 100, 3
);

/// A stage of the sales funnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LeadStage {
    /// By which leads name it; it never changes.
    #[schema(value_type = Stage)]
    pub code: String,
    /// In Portuguese.
    pub name_pt: String,
    /// In English.
    pub name_en: String,
    /// Stages are shown in the order of these numbers.
    pub position: i16,
}

impl Stage {
    /// A code made of a name: `Visita à loja` is `visita_a_loja`.
    pub fn of_name(name: &str) -> Self {
        let mut code = String::new();
        for c in name.chars().flat_map(char::to_lowercase) {
            match plain(c) {
                Some(letter) if code.is_empty() && letter.is_ascii_digit() => {
                    code.push_str("stage_");
                    code.push(letter);
                }
                Some(letter) => code.push(letter),
                None if code.is_empty() || code.ends_with('_') => {}
                None => code.push('_'),
            }
        }
        code.truncate(40);
        let code = code.trim_end_matches('_');
        // Nothing of the name is left when it is written in other letters.
        Self::parse(code).unwrap_or_else(|_| Self::unnamed())
    }
}

/// A letter or digit without its accent; `None` for anything else.
fn plain(c: char) -> Option<char> {
    Some(match c {
        'a'..='z' | '0'..='9' => c,
        'á' | 'à' | 'â' | 'ã' | 'ä' | 'ª' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ò' | 'ô' | 'õ' | 'ö' | 'º' => 'o',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        'ñ' => 'n',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_made_of_a_name() {
        for (name, code) in [
            ("Visita à loja", "visita_a_loja"),
            (" Negociação (2ª) ", "negociacao_2a"),
            ("2ª visita", "stage_2a_visita"),
            ("PÓS-VENDA", "pos_venda"),
            ("Переговоры", "stage"),
            ("---", "stage"),
        ] {
            assert_eq!(Stage::of_name(name).as_str(), code, "{name}");
        }
    }

    proptest! {
        #[test]
        fn it_is_always_a_code(name in any::<String>(), near in "[A-Za-zÀ-ÿ0-9 _-]{0,60}") {
            for name in [name, near] {
                let code = Stage::of_name(&name);
                prop_assert_eq!(Stage::parse(code.as_str()), Ok(code.clone()));
            }
        }
    }
}
