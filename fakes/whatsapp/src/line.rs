//! The server's end of one connection.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use wacore_binary::Node;

/// What a connection is told to do.
pub(crate) enum Order {
    /// Send a stanza.
    Send(Node),
    /// Send a stanza, then close in order.
    Last(Node),
    /// Vanish.
    Drop,
}

/// Gives orders to a connection.
#[derive(Clone)]
pub(crate) struct Line {
    /// Tells connections of one device apart.
    pub(crate) connection: u64,
    orders: UnboundedSender<Order>,
}

impl Line {
    /// A line, and the orders that arrive by it.
    pub(crate) fn new(connection: u64) -> (Self, UnboundedReceiver<Order>) {
        let (orders, receiver) = unbounded_channel();
        (Self { connection, orders }, receiver)
    }

    /// Gives an order; a connection that has ended ignores it.
    pub(crate) fn tell(&self, order: Order) {
        let _ended = self.orders.send(order);
    }

    /// Sends a stanza.
    pub(crate) fn send(&self, node: Node) {
        self.tell(Order::Send(node));
    }
}
