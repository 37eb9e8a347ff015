//go:build !linux

package main

import "errors"

var errLinux = errors.New("this needs Linux")

func up() error         { return errLinux }
func down() error       { return errLinux }
func status() error     { return errLinux }
func daemon() error     { return errLinux }
func initialize() error { return errLinux }
func node() error       { return errLinux }
