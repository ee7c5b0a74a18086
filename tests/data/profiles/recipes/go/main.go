// Writes the heap profiles of a program that retains pages: before.pb.gz, then after.pb.gz.
package main

import (
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
)

type page struct{ items []string }

var cache = map[int]*page{}

//go:noinline
func fetchPage(number int) *page {
	p := &page{}
	for item := 0; item < 25; item++ {
		p.items = append(p.items, strings.Repeat("x", 2000+number%100))
	}
	return p
}

//go:noinline
func keep(from, to int) {
	for number := from; number < to; number++ {
		cache[number] = fetchPage(number)
		fetchPage(number)
	}
}

func write(name string) {
	runtime.GC()
	file, err := os.Create(name)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	if err := pprof.Lookup("heap").WriteTo(file, 0); err != nil {
		panic(err)
	}
}

func main() {
	keep(0, 200)
	write("go-before.pb.gz")
	keep(200, 800)
	write("go-after.pb.gz")
	file, _ := os.Create("go-goroutine.pb.gz")
	defer file.Close()
	_ = pprof.Lookup("goroutine").WriteTo(file, 0)
}
