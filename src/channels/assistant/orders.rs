//! What somebody wants of the bot, in Portuguese or English.

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// To be known, with a code, or to begin.
    Start(Option<String>),
    Help,
    /// The newest leads of today.
    Leads,
    Customers,
    /// What is owed soon, or late.
    Dues,
    /// The reminders that were sent lately.
    Reminders,
    /// The money of the month.
    Report,
    Subscription,
    Bots,
    /// A bot is to be silent, or to speak again.
    Switch {
        /// Its name.
        bot: String,
        on: bool,
    },
    /// To be forgotten.
    Leave,
    /// Nobody knows.
    Unknown,
}

/// Reads an order: its first word, and what follows.
pub(super) fn read(text: &str) -> Order {
    let (word, rest) = text
        .trim()
        .split_once(char::is_whitespace)
        .unwrap_or((text.trim(), ""));
    let rest = rest.trim().to_owned();
    // In a menu Telegram writes the bot's name behind it.
    let word = word.split_once('@').map_or(word, |(word, _)| word);
    match word.trim_start_matches('/').to_lowercase().as_str() {
        "start" => Order::Start((!rest.is_empty()).then_some(rest)),
        "ajuda" | "help" => Order::Help,
        "leads" => Order::Leads,
        "clientes" | "customers" => Order::Customers,
        "cobrancas" | "cobranças" | "dues" => Order::Dues,
        "lembretes" | "reminders" => Order::Reminders,
        "relatorio" | "relatório" | "report" => Order::Report,
        "assinatura" | "subscription" => Order::Subscription,
        "bots" => Order::Bots,
        "pausar" | "pause" if !rest.is_empty() => Order::Switch { bot: rest, on: false },
        "retomar" | "resume" if !rest.is_empty() => Order::Switch { bot: rest, on: true },
        "pausar" | "pause" | "retomar" | "resume" => Order::Bots,
        "sair" | "leave" => Order::Leave,
        _ => Order::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_understood_in_both_languages() {
        assert_eq!(read("/start ABC"), Order::Start(Some("ABC".into())));
        assert_eq!(read(" /start "), Order::Start(None));
        assert_eq!(read("/COBRANÇAS"), Order::Dues);
        assert_eq!(read("/report@helix_bot"), Order::Report);
        let pause = |on| Order::Switch {
            bot: "Loja do Centro".into(),
            on,
        };
        assert_eq!(read("/pausar Loja do Centro"), pause(false));
        assert_eq!(read("/resume  Loja do Centro "), pause(true));
        assert_eq!(read("/pausar"), Order::Bots);
        assert_eq!(read("bom dia"), Order::Unknown);
        assert_eq!(read(""), Order::Unknown);
    }
}
