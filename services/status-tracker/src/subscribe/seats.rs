//! How many may subscribe at a time.

use assent_domain::values::TenantId;
use assent_runtime::api_error::{ApiError, ErrorCode};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// When it is worth trying again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Counts subscriptions. Clones share the count.
#[derive(Debug, Clone)]
pub(crate) struct Seats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    per_tenant_max: usize,
    taken: Mutex<HashMap<TenantId, usize>>,
}

/// One subscription's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    tenant: TenantId,
}

impl Seats {
    pub(crate) fn new(max: usize, per_tenant_max: usize) -> Self {
        Self(Arc::new(Inner {
            max,
            per_tenant_max,
            taken: Mutex::default(),
        }))
    }

    /// A place for one more, if there is one.
    pub(crate) fn take(&self, tenant: &TenantId) -> Result<Seat, ApiError> {
        let mut taken = self.0.taken.lock().expect("nothing panics while it holds this lock");
        let all: usize = taken.values().sum();
        let own = taken.get(tenant).copied().unwrap_or_default();
        if all >= self.0.max || own >= self.0.per_tenant_max {
            let error = ApiError::new(ErrorCode::Overloaded).message("there are too many subscriptions");
            return Err(error.metadata("limit", "subscriptions").retry_after(RETRY_AFTER));
        }
        *taken.entry(tenant.clone()).or_default() += 1;
        Ok(Seat {
            seats: self.clone(),
            tenant: tenant.clone(),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Ok(mut taken) = self.seats.0.taken.lock()
            && let Some(count) = taken.get_mut(&self.tenant)
        {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back_and_one_tenant_cannot_take_them_all() {
        let seats = Seats::new(3, 2);
        let (acme, globex) = (TenantId::try_new("acme").unwrap(), TenantId::try_new("globex").unwrap());
        let first = seats.take(&acme).unwrap();
        let _second = seats.take(&acme).unwrap();
        assert_eq!(seats.take(&acme).unwrap_err().code(), ErrorCode::Overloaded);
        let _third = seats.take(&globex).unwrap();
        assert!(seats.take(&globex).is_err());
        drop(first);
        seats.take(&globex).unwrap();
    }
}
