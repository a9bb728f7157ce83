//! Payments as the program sees them, whoever collects: the words that all gateways' own words are turned into.

use super::text_enum::text_enum;

text_enum! {
    /// How far a payment has come.
    pub enum PaymentStatus {
        /// Nobody has paid yet.
        Pending = "pending",
        /// The gateway is looking into it.
        InProcess = "in_process",
        /// The payer's bank or the gateway said no; a checkout page may let the payer try again.
        Rejected = "rejected",
        /// Expired or taken back, unpaid.
        Canceled = "canceled",
        /// The money is there.
        Paid = "paid",
        /// All of it went back to the payer.
        Refunded = "refunded",
        /// The payer's bank took it back.
        ChargedBack = "charged_back",
    }
}

text_enum! {
    /// What a payer is asked to pay with.
    pub enum PaymentMethod {
        /// A PIX with QR code and copy-paste text.
        Pix = "pix",
        /// A page of the gateway on which the payer chooses.
        Checkout = "checkout",
        /// A bank slip.
        Boleto = "boleto",
        /// A card that was saved before; nobody is asked.
        Card = "card",
    }
}

text_enum! {
    /// Who collects.
    pub enum GatewayKind {
        /// Mercado Pago.
        MercadoPago = "mercado_pago",
        /// Stripe.
        Stripe = "stripe",
        /// Asaas.
        Asaas = "asaas",
    }
}

impl PaymentStatus {
    /// Whether this news moves a payment on that was `earlier`. Old news, which arrives late, never does: money that is
    /// there is not undone by a late `rejected`, and only a refund or a chargeback comes after it. What is paid after it
    /// had expired is paid. As the order is total, deliveries in any order and number end in the same status.
    pub const fn follows(self, earlier: Self) -> bool {
        self.rank() > earlier.rank()
    }

    /// Whether nothing more is expected by itself: a payment that is asked about no longer.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Paid | Self::Canceled | Self::Refunded | Self::ChargedBack
        )
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::InProcess => 1,
            Self::Rejected => 2,
            Self::Canceled => 3,
            Self::Paid => 4,
            Self::Refunded => 5,
            Self::ChargedBack => 6,
        }
    }
}

impl GatewayKind {
    /// Whether it collects in this way.
    pub const fn offers(self, method: PaymentMethod) -> bool {
        use PaymentMethod::{Boleto, Card, Checkout, Pix};
        match self {
            Self::MercadoPago => matches!(method, Pix | Checkout),
            Self::Stripe => matches!(method, Checkout | Card),
            Self::Asaas => matches!(method, Pix | Checkout | Boleto | Card),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PaymentStatus::{Canceled, ChargedBack, Paid, Pending, Refunded, Rejected};
    use proptest::prelude::*;

    fn after(news: &[PaymentStatus]) -> PaymentStatus {
        news.iter().fold(
            Pending,
            |known, news| {
                if news.follows(known) { *news } else { known }
            },
        )
    }

    #[test]
    fn late_news_undoes_nothing() {
        assert_eq!(after(&[Paid, Rejected, Pending, Canceled]), Paid);
        assert_eq!(after(&[Canceled, Paid]), Paid);
        assert_eq!(after(&[Refunded, Paid]), Refunded);
        assert_eq!(after(&[Paid, ChargedBack, Refunded]), ChargedBack);
        assert!(!Paid.follows(Paid));
    }

    #[test]
    fn each_way_to_pay_is_offered_by_somebody() {
        for method in PaymentMethod::ALL {
            assert!(
                GatewayKind::ALL.iter().any(|kind| kind.offers(*method)),
                "{method}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_order_and_number_of_news_ends_the_same(
            news in proptest::collection::vec(proptest::sample::select(PaymentStatus::ALL), 0..8),
            seed in any::<prop::sample::Index>(),
        ) {
            let mut other = [news.clone(), news.clone()].concat();
            if !other.is_empty() {
                let middle = seed.index(other.len());
                other.rotate_left(middle);
                other.reverse();
            }
            prop_assert_eq!(after(&news), after(&other));
        }
    }
}
