//! What the bot says, in the language of whoever is spoken to.

use crate::domain::settings::Language;

/// Said in both languages: nobody knows yet who listens.
pub(super) const WHO_ARE_YOU: &str = "Olá! Para eu saber quem você é, peça um código em /api/assistant/links no endereço da sua conta e envie aqui: /start CÓDIGO\n\n\
Hello! So that I know who you are, ask for a code at /api/assistant/links at the address of your account and send it here: /start CODE";
pub(super) const CODE_UNKNOWN: &str =
    "Este código não vale (mais). Peça um novo.\n\nThis code is not valid (any more). Ask for a new one.";
pub(super) const LEFT: &str =
    "Pronto, não conheço mais este chat.\n\nDone, I do not know this chat any more.";
pub(super) const AWAY: &str = "Não consigo responder agora. Tente de novo em alguns instantes.\n\nI cannot answer just now. Try again in a moment.";
pub(super) const NOT_ANY_MORE: &str = "Seu acesso a esta conta terminou, ou não permite isto.\n\nYour access to this account has ended, or does not allow this.";

/// A text in both languages.
pub(super) struct Words {
    pt: &'static str,
    en: &'static str,
}

impl Words {
    pub(super) const fn new(pt: &'static str, en: &'static str) -> Self {
        Self { pt, en }
    }

    pub(super) const fn of(&self, language: Language) -> &'static str {
        match language {
            Language::PtBr => self.pt,
            Language::En => self.en,
        }
    }
}

pub(super) const HELP: Words = Words::new(
    "/leads — leads de hoje\n/clientes — clientes\n/cobrancas — o que está para vencer ou atrasado\n/lembretes — lembretes enviados\n\
     /relatorio — dinheiro do mês\n/assinatura — seu plano e uso\n/bots — seus bots\n/pausar NOME — um bot para de falar\n\
     /retomar NOME — volta a falar\n/sair — esquecer este chat",
    "/leads — today's leads\n/customers — customers\n/dues — what is due or late\n/reminders — reminders that were sent\n\
     /report — the month's money\n/subscription — your plan and its use\n/bots — your bots\n/pause NAME — a bot stops speaking\n\
     /resume NAME — it speaks again\n/leave — forget this chat",
);
pub(super) const UNKNOWN: Words = Words::new("Não entendi. /ajuda", "I did not understand. /help");
pub(super) const NONE: Words = Words::new("Nada por aqui.", "Nothing here.");
pub(super) const NO_SUCH_BOT: Words = Words::new(
    "Não há um bot com este nome, ou há mais de um. /bots",
    "There is no bot of this name, or more than one. /bots",
);

/// What is told of an event; `None`: nothing.
pub(super) fn of_notice(kind: &str, language: Language) -> Option<&'static str> {
    let words = match kind {
        "welcome" => Words::new("🎉 Novo cliente", "🎉 New client"),
        "invoice_issued" => Words::new(
            "🧾 Fatura emitida. /assinatura",
            "🧾 An invoice was issued. /subscription",
        ),
        "payment_received" => Words::new("✅ Pagamento recebido", "✅ Payment received"),
        "dunning" => Words::new(
            "⏰ Há uma fatura a pagar. /assinatura",
            "⏰ There is an invoice to pay. /subscription",
        ),
        "suspended" => Words::new(
            "⛔ Assinatura suspensa por falta de pagamento",
            "⛔ The subscription is suspended for want of payment",
        ),
        "canceled" => Words::new("👋 Assinatura cancelada", "👋 The subscription was canceled"),
        "usage_alert" => Words::new(
            "📈 Grande parte do plano já foi usada. /assinatura",
            "📈 Much of the plan has been used. /subscription",
        ),
        "backup_failed" => Words::new(
            "💾 Backups falharam: veja `helixai doctor`",
            "💾 Backups have failed: see `helixai doctor`",
        ),
        "payment_finding" => Words::new(
            "❗ Um pagamento precisa ser conferido: /api/admin/payment-findings",
            "❗ A payment has to be looked at: /api/admin/payment-findings",
        ),
        _ => return None,
    };
    Some(words.of(language))
}
