//go:build !unix

package server

// diskFree does not know.
func diskFree(string) (free, total int64, ok bool) { return 0, 0, false }

// maxFiles does not know.
func maxFiles() int { return 0 }
