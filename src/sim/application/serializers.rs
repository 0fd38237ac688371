//! Serializers that are not the default ones.
//!
//! Thread: the one that simulates. Locks: none.

use bytes::Bytes;

use super::calls::Trouble;
use crate::producer::{KafkaProducer, Output, SerializeContext, SerializeError, Serializer};

/// Takes what the default one takes, and is trouble.
#[derive(Debug, Clone, Copy)]
pub(super) struct Troubled(Trouble);

/// Another face of the producer.
pub(super) type Face = KafkaProducer<Troubled, Troubled>;

/// The face with that trouble.
pub(super) fn face(producer: &KafkaProducer, trouble: Trouble) -> Face {
    producer.with_serializers(Troubled(trouble), Troubled(trouble))
}

impl Serializer<Bytes> for Troubled {
    fn serialize<'a>(
        &'a self,
        context: &SerializeContext<'_>,
        data: &'a Bytes,
        out: &mut Output<'a>,
    ) -> Result<(), SerializeError> {
        match self.0 {
            Trouble::Fails { on_key } if on_key == context.is_key => {
                Err(SerializeError::new("this one never works"))
            }
            Trouble::Panics { on_key } if on_key == context.is_key => {
                // The hook would print it each time.
                std::panic::resume_unwind(Box::new("this one always panics"))
            }
            Trouble::Writes | Trouble::Fails { .. } | Trouble::Panics { .. } => {
                out.buffer().extend_from_slice(data);
                Ok(())
            }
        }
    }
}
