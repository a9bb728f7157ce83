//! Whole numbers within bounds.
//!
//! `bounded_number!(Type, min, max, example)` gives a number `parse`, `get`, serde and its OpenAPI schema; the bounds are
//! those of the migrations.

macro_rules! bounded_number {
    ($(#[$meta:meta])* $type:ident, $min:tt, $max:tt, $example:tt) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = i32, minimum = $min, maximum = $max, example = $example)]
        pub struct $type(i32);

        impl $type {
            /// Reads a number within the bounds.
            pub fn parse(value: i64) -> Result<Self, crate::domain::invalid::Invalid> {
                i32::try_from(value)
                    .ok()
                    .filter(|value| ($min..=$max).contains(value))
                    .map(Self)
                    .ok_or_else(|| crate::domain::invalid::Invalid::out_of_range($min, $max))
            }

            /// The number, as it is stored.
            pub const fn get(self) -> i32 {
                self.0
            }
        }
    };
}

pub(crate) use bounded_number;

#[cfg(test)]
mod tests {
    super::bounded_number!(
        /// Of a person.
        Age, 0, 150, 30
    );

    #[test]
    fn the_bounds_belong_to_it() {
        assert_eq!(Age::parse(0).map(Age::get), Ok(0));
        assert_eq!(Age::parse(150).map(Age::get), Ok(150));
        for value in [-1, 151, i64::MIN, i64::MAX] {
            assert_eq!(Age::parse(value).map_err(|e| e.code), Err("out_of_range"));
        }
    }
}
