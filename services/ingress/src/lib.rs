//! Owns requests and the facts Meta reports: MessageService over gRPC and the callback endpoint over HTTPS.
