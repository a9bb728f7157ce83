//! Rows on their way from a database to a file: one task reads, a thread of its own writes, and a few pieces wait between them.

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::KeeperError;
use crate::db::shard::snapshot::Rows;
use crate::tenancy::snapshot::SnapshotError;

/// Bytes of rows that are handed to the writer at once.
const PIECE: usize = 128 * 1024;
/// Pieces that may wait for the writer.
const WAITING: usize = 4;

/// What the writer is told.
pub(super) enum Message {
    Table(String),
    Rows(Vec<u8>),
    EndTable,
    File(String, Vec<u8>),
    /// Everything was read: without this the file gets no name.
    Finish,
}

/// How the writer is told.
pub(super) type Teller = mpsc::Sender<Message>;

/// A thread that writes what it is told.
pub(super) struct Writing<T> {
    pub(super) teller: Teller,
    thread: JoinHandle<Result<T, SnapshotError>>,
}

impl<T: Send + 'static> Writing<T> {
    /// Begins to write. The writer ends with [`Message::Finish`]; without it, it was [`aborted`].
    pub(super) fn begin(
        write: impl FnOnce(mpsc::Receiver<Message>) -> Result<T, SnapshotError> + Send + 'static,
    ) -> Self {
        let (teller, told) = mpsc::channel(WAITING);
        let thread = tokio::task::spawn_blocking(move || write(told));
        Self { teller, thread }
    }

    /// Waits for the writer, now that everything is told: what was read and what was written. Where both have failed, the
    /// reader did because the writer had.
    pub(super) async fn end<R>(self, read: Result<R, KeeperError>) -> Result<(R, T), KeeperError> {
        drop(self.teller);
        let written = self.thread.await.map_err(|_| aborted())?;
        match (read, written) {
            (Ok(read), written) => Ok((read, written?)),
            (Err(_), Err(error @ SnapshotError::Io(_))) => Err(error.into()),
            (Err(error), _) => Err(error),
        }
    }
}

pub(super) async fn tell(writer: &Teller, message: Message) -> Result<(), KeeperError> {
    writer.send(message).await.map_err(|_| aborted().into())
}

/// Hands rows on, in larger pieces than the server's, which sends row by row.
pub(super) async fn pass_on(mut rows: Rows, writer: &Teller) -> Result<(), KeeperError> {
    let mut piece = Vec::new();
    while let Some(row) = rows.next().await {
        piece.extend_from_slice(&row?);
        if piece.len() >= PIECE {
            tell(writer, Message::Rows(std::mem::take(&mut piece))).await?;
        }
    }
    tell(writer, Message::Rows(piece)).await
}

/// The other side has ended before its time.
pub(super) fn aborted() -> SnapshotError {
    SnapshotError::Damaged("it was not written to its end")
}
