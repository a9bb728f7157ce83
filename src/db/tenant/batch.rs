//! Several queries that run in one transaction and one round trip: a query, a tuple or a vector of them.

use super::answer::Answer;
use super::query::{Query, Statement};
use crate::db::DbError;

/// Queries that are sent together and succeed or fail together.
pub trait Batch: Send {
    /// What all of them yield.
    type Output: Send;
    /// What turns the answers into the output.
    type Decode: Send;

    /// Hands the statements over, in the order in which they run.
    fn split(self, statements: &mut Statements) -> Self::Decode;

    /// Reads the answers, in the same order.
    ///
    /// # Errors
    /// When an answer has another shape than its query expects.
    fn decode(decode: Self::Decode, answers: &mut Answers) -> Result<Self::Output, DbError>;
}

/// The statements of a batch.
#[derive(Default)]
pub struct Statements(pub(super) Vec<Statement>);

/// The answers to the statements of a batch.
pub struct Answers(pub(super) std::vec::IntoIter<Answer>);

impl<T: Send + 'static> Batch for Query<T> {
    type Output = T;
    type Decode = Box<dyn FnOnce(Answer) -> Result<T, DbError> + Send>;

    fn split(self, statements: &mut Statements) -> Self::Decode {
        statements.0.push(self.statement);
        self.decode
    }

    fn decode(decode: Self::Decode, answers: &mut Answers) -> Result<T, DbError> {
        match answers.0.next() {
            Some(answer) => decode(answer),
            None => Err(missing_answer()),
        }
    }
}

/// A defect: there are as many answers as statements.
pub(super) fn missing_answer() -> DbError {
    DbError::Other {
        code: "driver".to_owned(),
        message: "an answer is missing".to_owned(),
    }
}

impl<B: Batch> Batch for Vec<B> {
    type Output = Vec<B::Output>;
    type Decode = Vec<B::Decode>;

    fn split(self, statements: &mut Statements) -> Self::Decode {
        self.into_iter().map(|batch| batch.split(statements)).collect()
    }

    fn decode(decode: Self::Decode, answers: &mut Answers) -> Result<Self::Output, DbError> {
        decode.into_iter().map(|one| B::decode(one, answers)).collect()
    }
}

impl<B: Batch> Batch for Option<B> {
    type Output = Option<B::Output>;
    type Decode = Option<B::Decode>;

    fn split(self, statements: &mut Statements) -> Self::Decode {
        self.map(|batch| batch.split(statements))
    }

    fn decode(decode: Self::Decode, answers: &mut Answers) -> Result<Self::Output, DbError> {
        decode.map(|one| B::decode(one, answers)).transpose()
    }
}

macro_rules! batch_of_tuple {
    ($($name:ident $index:tt),*) => {
        impl<$($name: Batch),*> Batch for ($($name,)*) {
            type Output = ($($name::Output,)*);
            type Decode = ($($name::Decode,)*);

            fn split(self, statements: &mut Statements) -> Self::Decode {
                ($(self.$index.split(statements),)*)
            }

            fn decode(decode: Self::Decode, answers: &mut Answers) -> Result<Self::Output, DbError> {
                Ok(($($name::decode(decode.$index, answers)?,)*))
            }
        }
    };
}

impl Batch for () {
    type Output = ();
    type Decode = ();

    fn split(self, _: &mut Statements) {}

    fn decode((): (), _: &mut Answers) -> Result<(), DbError> {
        Ok(())
    }
}

batch_of_tuple!(A 0, B 1);
batch_of_tuple!(A 0, B 1, C 2);
batch_of_tuple!(A 0, B 1, C 2, D 3);
batch_of_tuple!(A 0, B 1, C 2, D 3, E 4);
