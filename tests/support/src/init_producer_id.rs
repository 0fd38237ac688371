//! InitProducerId: a new producer id, or the next epoch of a transactional id.

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::cluster::Cluster;
use crate::code;
use crate::fault::Strikes;
use crate::handler::{Answer, Arrival};
use crate::wire;

impl Cluster {
    pub(crate) fn init_producer_id(
        &mut self,
        arrival: &Arrival,
        request: &InitProducerIdRequest,
        strikes: &Strikes,
    ) -> Answer {
        let given = match strikes.error_of_all() {
            Some(code) => Err(code),
            None => self.give_producer_id(request),
        };
        let mut response =
            InitProducerIdResponse::default().with_throttle_time_ms(strikes.throttle_ms());
        match given {
            Ok((producer_id, epoch)) => {
                response.producer_id = producer_id.into();
                response.producer_epoch = epoch;
            }
            Err(code) => {
                response.error_code = code;
                response.producer_id = (-1).into();
                response.producer_epoch = -1;
            }
        }
        strikes.lies(|lie| lie.init_producer_id(&mut response));
        Answer::Bytes(wire::write_response(
            &response,
            arrival.version,
            arrival.correlation_id,
        ))
    }

    fn give_producer_id(&mut self, request: &InitProducerIdRequest) -> Result<(i64, i16), i16> {
        let has_id = request.producer_id.0 != -1;
        let has_epoch = request.producer_epoch != -1;
        if has_id != has_epoch {
            return Err(code::INVALID_REQUEST);
        }
        let Some(transactional_id) = &request.transactional_id else {
            return Ok(self.new_producer());
        };
        if transactional_id.is_empty() {
            return Err(code::INVALID_REQUEST);
        }
        let known = self.transactional_ids.get(transactional_id.as_str());
        let given = match known {
            Some((producer_id, epoch)) if *epoch < i16::MAX - 1 => (*producer_id, epoch + 1),
            _ => self.new_producer(),
        };
        self.transactional_ids
            .insert(transactional_id.to_string(), given);
        Ok(given)
    }

    fn new_producer(&mut self) -> (i64, i16) {
        let next = (self.next_producer.0 + 1, 0);
        std::mem::replace(&mut self.next_producer, next)
    }
}
