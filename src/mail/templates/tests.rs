//! Every kind, in every language, filled and not filled.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

/// What the worker adds to each, and values as a caller gives them.
fn sample(kind: MailKind) -> Map<String, Value> {
    let values = json!({
        "url": "https://garage.helixai.test", "tenant_name": "Garage & Filhos <Ltda>",
        "name": "Ana <b>Souza</b>", "email": "ana@garage.example", "token": "hxp_abc", "valid_days": 7, "valid_hours": 1,
        "number": 1234, "total_cents": 123_456, "amount_cents": 9_990, "due_date": "2026-11-30", "paid_on": "2026-12-01",
        "pix_code": "00020126<PIX>", "pay_url": "https://pay.example/?a=1&b=2", "step": "d3", "ends_on": "2026-12-31",
        "meter": "messages", "threshold": 80, "used": 8_000, "limit": 10_000, "month": "2026-11-01",
        "tenant_keys": ["garage-alpha", "imob-beta"], "subject": "Lembrete", "text": "Olá <Ana>,\nvence hoje.",
        "from_name": "Academia <da> Ana", "reply_to": "oi@academia.example",
    });
    let names = kind.values();
    let known = names
        .required
        .iter()
        .chain(names.optional)
        .chain(&["url", "tenant_name"]);
    let value = |name: &&str| ((*name).to_owned(), values[*name].clone());
    known.map(value).collect()
}

fn everything() -> impl Iterator<Item = (MailKind, Language)> {
    let kinds = MailKind::ALL.iter();
    kinds.flat_map(|kind| Language::ALL.iter().map(|language| (*kind, *language)))
}

#[test]
fn every_kind_is_written_in_every_language() {
    for (kind, language) in everything() {
        let mail = render(kind, language, sample(kind))
            .unwrap_or_else(|error| panic!("{kind} {language}: {error:#}"));
        assert!(
            !mail.subject.is_empty() && mail.subject.len() < 150 && !mail.subject.contains('\n'),
            "{kind} {language}: {:?}",
            mail.subject
        );
        for (part, text) in [("text", &mail.text), ("html", &mail.html)] {
            for unwanted in ["undefined", ">none<", " none", "{{", "{%", "\n\n\n\n"] {
                assert!(
                    !text.contains(unwanted),
                    "{kind} {language} {part}: {unwanted}\n{text}"
                );
            }
        }
        assert!(
            mail.html.starts_with("<!doctype html>") && mail.html.contains(&format!("lang=\"{language}\""))
        );
        assert_eq!(
            mail.html.matches("<p").count(),
            mail.html.matches("</p>").count(),
            "{kind} {language}"
        );
    }
}

#[test]
fn a_mail_that_lacks_a_value_is_not_written() {
    for (kind, language) in everything() {
        for name in sample(kind).keys() {
            let mut values = sample(kind);
            values.remove(name);
            assert!(
                render(kind, language, values).is_err(),
                "{kind} {language} is written without {name}: is it used?"
            );
        }
    }
}

#[test]
fn what_may_be_left_out_is_left_out() {
    for (kind, language) in everything() {
        let mut values = sample(kind);
        for name in kind.values().optional {
            values.insert((*name).to_owned(), Value::Null);
        }
        let mail = render(kind, language, values).unwrap();
        for part in [&mail.text, &mail.html] {
            assert!(
                !part.contains(">none<") && !part.contains(" none"),
                "{kind} {language}: {part}"
            );
        }
    }
}

#[test]
fn html_is_escaped_and_text_is_not() {
    for (kind, language) in everything() {
        let mail = render(kind, language, sample(kind)).unwrap();
        for raw in ["<b>Souza", "<Ltda>", "<PIX>"] {
            assert!(!mail.html.contains(raw), "{kind} {language}: {raw}");
        }
        if kind == MailKind::Invitation {
            assert!(mail.text.contains("Ana <b>Souza</b>"), "{}", mail.text);
            assert!(mail.html.contains("Ana &lt;b&gt;Souza"), "{}", mail.html);
        }
    }
}

#[test]
fn an_invoice_says_all_that_is_needed_to_pay_it() {
    let portuguese = render(
        MailKind::InvoiceIssued,
        Language::PtBr,
        sample(MailKind::InvoiceIssued),
    )
    .unwrap();
    assert_eq!(
        portuguese.subject,
        "Fatura 1234: R$ 1.234,56, vence em 30/11/2026"
    );
    for said in [
        "1234",
        "R$ 1.234,56",
        "30/11/2026",
        "00020126<PIX>",
        "https://pay.example/?a=1&b=2",
    ] {
        assert!(portuguese.text.contains(said), "{said} in {}", portuguese.text);
    }
    assert!(portuguese.html.contains("R$ 1.234,56") && portuguese.html.contains("a=1&amp;b=2"));
    let english = render(
        MailKind::InvoiceIssued,
        Language::En,
        sample(MailKind::InvoiceIssued),
    )
    .unwrap();
    assert_eq!(
        english.subject,
        "Invoice 1234: R$ 1,234.56, due on 30 November 2026"
    );
}

#[test]
fn each_reminder_says_another_thing() {
    let mut subjects = BTreeSet::new();
    for step in ["d-3", "d0", "d3", "d7"] {
        let mut values = sample(MailKind::Dunning);
        values.insert("step".to_owned(), step.into());
        for language in Language::ALL {
            subjects.insert(
                render(MailKind::Dunning, *language, values.clone())
                    .unwrap()
                    .subject,
            );
        }
    }
    assert_eq!(subjects.len(), 8, "{subjects:?}");
}

#[test]
fn the_folders_are_those_of_the_kinds() {
    let expected: BTreeSet<String> = everything()
        .flat_map(|(kind, language)| ["txt", "html"].map(|kind_of| format!("{kind}/{language}.{kind_of}")))
        .collect();
    let found: BTreeSet<String> = Files::iter()
        .map(|name| name.to_string())
        .filter(|name| name.contains('/'))
        .collect();
    assert_eq!(found, expected);
    for name in Files::iter() {
        let text = String::from_utf8(Files::get(&name).unwrap().data.into_owned()).unwrap();
        assert!(!text.contains("|safe") && !text.contains("| safe"), "{name}");
    }
}
