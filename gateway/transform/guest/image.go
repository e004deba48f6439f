package guest

import "github.com/tetratelabs/wazero/api"

// chunk is the grain of an image.
const chunk = 4096

// image is the state of an instance before its first call: what is not zero in its
// memory, and its globals. All instances of a module are as good as the one that it
// was taken of, because a guest starts from nothing that differs.
type image struct {
	size    int
	pieces  []piece
	globals []uint64
}

type piece struct {
	at   int
	data []byte
}

// capture copies the state.
func capture(mem []byte, globals []api.MutableGlobal) *image {
	img := &image{size: len(mem)}
	for _, g := range globals {
		img.globals = append(img.globals, g.Get())
	}
	for at := 0; at < len(mem); at += chunk {
		if isZero(mem[at : at+chunk]) {
			continue
		}
		end := at + chunk
		for end < len(mem) && !isZero(mem[end:end+chunk]) {
			end += chunk
		}
		img.pieces = append(img.pieces, piece{at, append([]byte(nil), mem[at:end]...)})
		at = end
	}
	return img
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// restore returns an instance to the image. It reports false when that is not
// possible, because a memory cannot shrink.
func (img *image) restore(mem *memory, globals []api.MutableGlobal) bool {
	if len(mem.buf) != img.size {
		return false
	}
	mem.zero()
	for _, p := range img.pieces {
		copy(mem.buf[p.at:], p.data)
	}
	for i, g := range globals {
		g.Set(img.globals[i])
	}
	return true
}
