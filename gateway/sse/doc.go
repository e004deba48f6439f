// Package sse streams changes to plain HTTP clients: GET /events with tickets for
// browsers, and the two event routes of the service that this one replaces. It
// shapes what package events delivers and decides nothing.
package sse
