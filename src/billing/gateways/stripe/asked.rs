//! What Stripe is sent: forms, with amounts in whole cents.

use super::super::order::PaymentOrder;
use crate::domain::money::Cents;

/// Names and values of a form.
pub(super) type Form = Vec<(&'static str, String)>;

/// `POST /checkout/sessions`. Without an end of its own, so that a repeat is the same: Stripe's are open for a day.
pub(super) fn new_session(order: &PaymentOrder) -> Form {
    let reference = order.reference.to_string();
    let mut form = vec![
        ("mode", "payment".to_owned()),
        ("client_reference_id", reference.clone()),
        ("customer_email", order.payer.email.as_str().to_owned()),
        ("line_items[0][quantity]", "1".to_owned()),
        ("line_items[0][price_data][currency]", "brl".to_owned()),
        (
            "line_items[0][price_data][unit_amount]",
            order.amount.get().to_string(),
        ),
        (
            "line_items[0][price_data][product_data][name]",
            order.description.clone(),
        ),
        ("metadata[reference]", reference.clone()),
        ("payment_intent_data[metadata][reference]", reference),
        ("success_url", order.return_url.clone()),
        ("cancel_url", order.return_url.clone()),
        ("locale", "pt-BR".to_owned()),
    ];
    if order.save_card {
        form.extend([
            ("customer_creation", "always".to_owned()),
            (
                "payment_intent_data[setup_future_usage]",
                "off_session".to_owned(),
            ),
        ]);
    }
    form
}

/// `POST /payment_intents` for a card that was saved: confirmed at once, without the payer.
pub(super) fn new_intent(order: &PaymentOrder, customer: &str, method: &str) -> Form {
    vec![
        ("amount", order.amount.get().to_string()),
        ("currency", "brl".to_owned()),
        ("customer", customer.to_owned()),
        ("payment_method", method.to_owned()),
        ("off_session", "true".to_owned()),
        ("confirm", "true".to_owned()),
        ("description", order.description.clone()),
        ("metadata[reference]", order.reference.to_string()),
        ("expand[]", "latest_charge".to_owned()),
    ]
}

/// `POST /refunds`
pub(super) fn new_refund(intent: &str, amount: Cents) -> Form {
    vec![
        ("payment_intent", intent.to_owned()),
        ("amount", amount.get().to_string()),
    ]
}
