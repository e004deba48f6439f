//go:build race

package server_test

// raceDetector allocates on its own.
const raceDetector = true
