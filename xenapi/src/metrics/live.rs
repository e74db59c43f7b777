//! The values of this moment, of many objects.

use futures_core::future::BoxFuture;

use crate::{Bulk, Call, Host, Hosts, Ref, Result, Sr, Srs, Vm, Vms, bulk};

/// The same for each class that has data sources.
macro_rules! query_many {
    ($collection:ident, $object:ident, $one:ident, $message:literal) => {
        impl $collection {
            /// Asks each of these for the latest value of a data source, side by side; NaN where it is not known.
            ///
            /// For more than a few values, [`Client::metrics`](crate::Client::metrics) takes fewer requests.
            ///
            /// Least role: read-only.
            #[doc(alias = $message)]
            pub fn query_data_source(
                &self,
                objects: impl IntoIterator<Item = Ref<$object>>,
                data_source: &str,
            ) -> Bulk<BoxFuture<'static, (Ref<$object>, Result<f64>)>> {
                bulk(objects.into_iter().map(|object| {
                    let value = self.client.$one(object).query_data_source(data_source);
                    Box::pin(with_object(object, value)) as BoxFuture<'static, _>
                }))
            }
        }
    };
}

async fn with_object<T>(object: Ref<T>, value: Call<f64>) -> (Ref<T>, Result<f64>) {
    (object, value.await)
}

query_many!(Hosts, Host, host, "host.query_data_source");
query_many!(Vms, Vm, vm, "VM.query_data_source");
query_many!(Srs, Sr, sr, "SR.query_data_source");
