// Package telemetry counts requests for Prometheus and traces them for OpenTelemetry.
//
// What it says of a request is the service, the operation, the outcome and how long it took: never who
// asked, for which resource, or with what. Labels are of sets that the program knows, so that nobody makes
// series without number.
package telemetry
