// A resumable session with gorilla/websocket. Run: go run gorilla.go "ws://127.0.0.1:8000/ws?id=ada"
//
// A refused dial gives the response, with status and headers. It answers Pings only inside of a read: the loop below
// always reads.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand"
	"os"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

var over = map[int]bool{1000: true, 4100: true, 4101: true, 4403: true, 4409: true}

type message struct {
	Event   string `json:"event"`
	Payload any    `json:"payload"`
}

func main() {
	resume, pause := "", 0.25
	for {
		wait := pause * (0.5 + rand.Float64())
		socket, response, err := websocket.DefaultDialer.Dial(os.Args[1]+resume, nil)
		if err == nil {
			fmt.Println("open")
			resume, pause = "&resume=true", 0.25
			err = talk(socket)
			socket.Close()
			if closed, ok := err.(*websocket.CloseError); ok && over[closed.Code] {
				fmt.Println("verdict", closed.Code)
				return
			}
		} else if response != nil {
			status := response.StatusCode
			if status >= 400 && status < 500 && status != 429 {
				fmt.Println("verdict", status)
				return
			}
			later, _ := strconv.ParseFloat(response.Header.Get("Retry-After"), 64)
			wait = math.Max(wait, later)
		}
		pause = math.Min(pause*2, 30)
		fmt.Printf("wait %.1f\n", wait)
		time.Sleep(time.Duration(wait * float64(time.Second)))
	}
}

func talk(socket *websocket.Conn) error {
	if err := socket.WriteJSON(message{"say", "hello"}); err != nil {
		return err
	}
	for {
		_, text, err := socket.ReadMessage()
		if err != nil {
			return err
		}
		var got message
		if json.Unmarshal(text, &got) == nil {
			fmt.Println("message", got.Payload)
		}
	}
}
